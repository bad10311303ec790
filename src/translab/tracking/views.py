"""The views of MLflow's pages that the dashboard links to: direct links, and saved views that group runs by variant.

MLflow opens an experiment in a view for language-model traces, with ungrouped runs. Its *share* button stores a view as a tag
of the experiment, `mlflow.sharedViewState.<key>`, and links to it by `viewStateShareKey=<key>`; `publish` sets such a tag, so
that a link opens the charts with the mean over seeds of every variant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode

BY_VARIANT = "by-variant"
DESCRIPTIONS = {
    "ablations": 'Variants of the base model, each trained from scratch on several seeds; filter: `tags.axis = "model.heads"`.',
    "transfer": "Models that start with layers of a pretrained model; from scratch it is `base` among the ablations.",
    "pretraining": "Models pretrained on task A, the donors of the transfer experiment.",
    "report": "The report of the comparison, with intervals and verdicts.",
}


FIRST_CHARTS = {
    "test": ["bleu", "chrf", "ter", "loss", "accuracy"],
    "curves": ["valid_loss", "train_loss", "valid_accuracy", "objective"],
}
"""What a person looks at first; MLflow adds a chart for every other metric after these."""


def experiment_tags(name: str, variants: Iterable[str]) -> dict[str, str]:
    """Tags of an experiment called `<corpus>: <question>`: its description and its view grouped by variant.

    The keys of the view are those of MLflow's own saved views (3.17).
    """
    state = {
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": True,
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "variant"}]},
        "groupsExpanded": {f"tag.variant.{variant}": False for variant in sorted(variants)},
        "runsHiddenMode": "SHOW_ALL",
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            _section("test", shown=True),
            _section("curves", shown=True),
            _section("Model metrics", shown=True),
            _section("parameters", shown=False),
            _section("cost", shown=False),
        ],
        "compareRunCharts": [_chart(section, metric) for section, metrics in FIRST_CHARTS.items() for metric in metrics],
    }
    return {
        "mlflow.note.content": DESCRIPTIONS[name.rpartition(": ")[2]],
        f"mlflow.sharedViewState.{BY_VARIANT}": json.dumps(state),
    }


def _section(name: str, *, shown: bool) -> dict[str, object]:
    flags = {"display": shown, "isReordered": True, "deleted": False, "isGenerated": True}
    return {"uuid": f"section-{name}", "name": name, **flags}


def _chart(section: str, metric: str) -> dict[str, object]:
    kind: dict[str, object] = {"type": "BAR"}
    if section == "curves":
        axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "yAxisKey": "metric", "scaleType": "linear", "range": {}}
        kind = {"type": "LINE", "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "lineSmoothness": 0, **axes}
    names = {"uuid": f"chart-{section}-{metric}", "metricSectionId": f"section-{section}", "displayName": metric}
    return kind | names | {"metricKey": f"{section}/{metric}", "runsCountToCompare": 100, "deleted": False, "isGenerated": True}


def charts(server: str, experiment: str) -> str:
    """Address of an experiment's charts, grouped by variant."""
    query = {"workflowType": "machine_learning", "compareRunsMode": "CHART", "viewStateShareKey": BY_VARIANT}
    return f"{server}/#/experiments/{experiment}/runs?{urlencode(query)}"


def compare(server: str, runs: Sequence[str], experiments: Sequence[str]) -> str:
    """Address of the page that compares runs: which parameters differ, and the metrics beside them."""
    lists = [quote(json.dumps(list(identifiers), separators=(",", ":"))) for identifiers in (runs, experiments)]
    return f"{server}/#/compare-runs?runs={lists[0]}&experiments={lists[1]}"
