"""The views of MLflow's pages that the dashboard and descriptions link to, and saved views that group runs by variant.

MLflow opens an experiment in a view for language-model traces, with ungrouped runs. Its *share* button stores a view as a tag
of the experiment, `mlflow.sharedViewState.<key>`, and links to it by `viewStateShareKey=<key>`; `publish` sets such a tag, so
that a link opens the charts with the mean over seeds of every variant, or the table of claims with their verdicts.

Every address here begins with `#`: within MLflow's pages it is a link as it is, and elsewhere the server's address goes before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

BY_VARIANT, BY_VERDICT = "by-variant", "by-verdict"
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""

LONGEST_TAG = 8000
"""Characters that MLflow takes in a tag, and so in a description."""

DESCRIPTIONS = {
    "ablations": 'Variants of the base model, each trained from scratch on several seeds; filter: `tags.axis = "model.heads"`.',
    "transfer": "Models that start with layers of a pretrained model; from scratch it is `base` among the ablations.",
    "pretraining": "Models pretrained on task A, the donors of the transfer experiment.",
    "claims": 'What the runs say about every claim; filter: `tags.verdict = "supported"`, `tags.family = "heads"`.',
    "report": "The report of the comparison, with intervals and verdicts.",
}
CLAIM_COLUMNS = ["tags.`verdict`", "tags.`family`", "tags.`metric`", "tags.`test_set`"] + [
    f"metrics.`{key}`" for key in ("effect", "interval/low", "interval/high", "margin", "p_adjusted", "seeds")
]
"""What the table of claims shows of each."""

FIRST_CHARTS = {
    "test": ["bleu", "chrf", "ter", "loss", "accuracy"],
    "curves": ["valid_loss", "train_loss", "valid_accuracy", "objective"],
}
"""What a person looks at first; MLflow adds a chart for every other metric after these."""


@dataclass(frozen=True)
class Place:
    """Where a run is in the store."""

    experiment: str
    run_id: str


def experiment_tags(name: str, variants: Iterable[str]) -> dict[str, str]:
    """Tags of an experiment called `<corpus>: <question>`: its description and its saved view.

    The keys of the view are those of MLflow's own saved views (3.17).
    """
    question = name.rpartition(": ")[2]
    state: dict[str, object]
    if question == "claims":
        key, state = (
            BY_VERDICT,
            {
                "orderByKey": "tags.`verdict`",
                "orderByAsc": True,
                "selectedColumns": CLAIM_COLUMNS,
                "runsHiddenMode": "SHOW_ALL",
            },
        )
    else:
        key, state = (
            BY_VARIANT,
            {
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
                "compareRunCharts": [
                    _chart(section, metric) for section, metrics in FIRST_CHARTS.items() for metric in metrics
                ],
            },
        )
    return {NOTE: DESCRIPTIONS[question], f"mlflow.sharedViewState.{key}": json.dumps(state)}


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


def charts(experiment: str) -> str:
    """An experiment's charts, grouped by variant."""
    return _runs_page(experiment, compareRunsMode="CHART", viewStateShareKey=BY_VARIANT)


def verdicts(experiment: str) -> str:
    """The table of an experiment's claims, by verdict."""
    return _runs_page(experiment, viewStateShareKey=BY_VERDICT)


def table(experiment: str, where: str | None = None) -> str:
    """The table of an experiment's runs, of those only for which a condition like `tags.donor = "masked-1"` holds."""
    return _runs_page(experiment) if where is None else _runs_page(experiment, searchFilter=where)


def page(place: Place) -> str:
    """A run's page."""
    return f"#/experiments/{place.experiment}/runs/{place.run_id}"


def artifact(place: Place, path: str) -> str:
    """A file of a run, shown on its page."""
    return f"{page(place)}/artifacts/{quote(path)}"


def model(name: str) -> str:
    """A registered model's page."""
    return f"#/models/{quote(name)}"


def compare(places: Sequence[Place]) -> str:
    """The page that compares runs: which parameters differ, and the metrics beside them."""
    runs, experiments = [place.run_id for place in places], list(dict.fromkeys(place.experiment for place in places))
    lists = [quote(json.dumps(identifiers, separators=(",", ":"))) for identifiers in (runs, experiments)]
    return f"#/compare-runs?runs={lists[0]}&experiments={lists[1]}"


def link(text: str, address: str) -> str:
    """A link in a description."""
    return f"[{text}]({address})"


def first_short(*texts: str) -> str:
    """The first of several descriptions, from long to short, that fits into a tag; the last one in any case."""
    return next((text for text in texts if len(text) <= LONGEST_TAG), texts[-1])


def _runs_page(experiment: str, **query: str) -> str:
    return f"#/experiments/{experiment}/runs?{urlencode({'workflowType': 'machine_learning', **query}, quote_via=quote)}"
