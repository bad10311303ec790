"""The tables of the report, once as rows of text; Markdown, HTML and the terminal only lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.results import BASE
from translab.comparison.rounding import LABELS, interval, shown
from translab.comparison.testsets import TEST_SET
from translab.report.probe_tables import marked, title
from translab.report.sheets import Table, table

MARKS = {
    "supported": "✓",
    "refuted": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not decidable": "!",
    "not run": "·",
}
"""A sign beside each verdict, for readers who do not see colours."""


def claims(records: Sequence[Mapping[str, Any]]) -> Table:
    """The verdict table."""
    return table(
        {
            "verdict": [f"{MARKS[record['verdict']]} {record['verdict']}" for record in records],
            "claim": [record["name"] for record in records],
            "effect": [shown(record["effect"], record["metric"], sign=True) for record in records],
            "interval": [interval(record["interval"], record["metric"], sign=True) for record in records],
            "metric": [_measured(record) for record in records],
            "p (adjusted)": [shown(record["p_adjusted"], "p") for record in records],
            "detectable": [shown(record["minimum_detectable_effect"], record["metric"]) for record in records],
        },
        ["effect", "interval", "p (adjusted)", "detectable"],
    )


def _measured(record: Mapping[str, Any]) -> str:
    """The metric, and where it was measured if not on the test set."""
    metric, test_set = str(record["metric"]), record["test_set"]
    return metric if test_set == TEST_SET else f"{metric} on {test_set}"


def models(records: Sequence[Mapping[str, Any]], metric: str, elsewhere: Sequence[Mapping[str, Any]]) -> Table:
    """Scores of models of task B beside their difference from the base.

    Args:
        records: the models.
        metric: the primary one.
        elsewhere: records of `reports/probes.json`; the splits beside the test set get a column each.
    """
    splits = dict.fromkeys(record["set"] for record in elsewhere if record["kind"] == "split" and record["set"] != TEST_SET)
    means = {(record["name"], record["set"]): record for record in elsewhere}
    label, others = LABELS[metric], [other for other in ("bleu", "chrf") if other != metric]
    columns = {
        "model": [record["name"] for record in records],
        label: [_score(record, metric) for record in records],
        "interval": [interval((record["scores"].get(metric) or {}).get("interval"), metric) for record in records],
        f"vs {BASE}": [shown((record["difference"] or {}).get("estimate"), metric, sign=True) for record in records],
        "interval of difference": [
            interval((record["difference"] or {}).get("interval"), metric, sign=True) for record in records
        ],
        "word": [word(record) for record in records],
        **{title(split): [marked(means.get((record["name"], split))) for record in records] for split in splits},
        **{LABELS[other]: [_score(record, other) for record in records] for other in others},
    }
    return table(columns, [title for title in columns if title not in ("model", "word")])


def details(records: Sequence[Mapping[str, Any]], metric: str) -> Table:
    """The other measures of models of task B."""
    return table(
        {
            "model": [record["name"] for record in records],
            "changes": [f"{record['axis']} = {record['value']}" if record["axis"] else "–" for record in records],
            "s_opt": [shown((record["scores"].get(metric) or {}).get("s_opt"), metric) for record in records],
            "s_sel": [shown((record["scores"].get(metric) or {}).get("s_sel"), metric) for record in records],
            "TER": [_score(record, "ter") for record in records],
            "exact %": [_score(record, "exact") for record in records],
            "length ratio": [shown(record["length_ratio"], "ratio") for record in records],
            "valid loss": [shown(record.get("best_valid_loss"), "loss") for record in records],
            "train loss": [shown(record.get("train_loss"), "loss") for record in records],
            "parameters": [_count(record, "total") for record in records],
            "trained": [_count(record, "trainable") for record in records],
        },
        ["s_opt", "s_sel", "TER", "exact %", "length ratio", "valid loss", "train loss", "parameters", "trained"],
    )


def pretraining(records: Sequence[Mapping[str, Any]]) -> Table:
    """Methods of pretraining on task A."""
    return table(
        {
            "method": [record["name"] for record in records],
            "corpus": [record.get("corpus") or "–" for record in records],
            "test loss": [_score(record, "loss") for record in records],
            "perplexity": [shown(record["perplexity"], "bleu") for record in records],
            "accuracy": [shown(record["accuracy"], "ratio") for record in records],
            LABELS["acceptance"]: [_score(record, "acceptance") for record in records],
            "BLEU": [_score(record, "bleu") for record in records],
            "chrF": [_score(record, "chrf") for record in records],
            "valid loss": [shown(record.get("best_valid_loss"), "loss") for record in records],
            "updates": [f"{record['updates']:,}" if "updates" in record else "–" for record in records],
            "parameters": [_count(record, "total") for record in records],
        },
        ["test loss", "perplexity", "accuracy", LABELS["acceptance"], "BLEU", "chrF", "valid loss", "updates", "parameters"],
    )


def word(record: Mapping[str, Any]) -> str:
    """What a model is in relation to the base, in a word or three."""
    if record["problems"]:
        return "cannot be used"
    if record["name"] == BASE:
        return BASE
    return str((record["difference"] or {}).get("word", "–"))


def _score(record: Mapping[str, Any], metric: str) -> str:
    return shown((record["scores"].get(metric) or {}).get("mean"), metric)


def _count(record: Mapping[str, Any], key: str) -> str:
    return f"{record['parameters'][key]:,}" if "parameters" in record else "–"
