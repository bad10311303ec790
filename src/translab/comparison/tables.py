"""The tables of the report, once as rows of text; Markdown, HTML and the terminal only lay them out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translab.comparison.records import BASE
from translab.comparison.rounding import interval, shown

MARKS = {
    "supported": "✓",
    "refuted": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not decidable": "!",
    "not run": "·",
}
"""A sign beside each verdict, for readers who do not see colours."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int]
    """The columns that are set flush right."""

    def markdown(self) -> str:
        """A GitHub table."""
        rules = ["--:" if index in self.numbers else ":--" for index in range(len(self.columns))]
        rows = [self.columns, rules, *([cell.replace("|", "\\|") for cell in row] for row in self.rows)]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def terminal(self) -> str:
        """Aligned columns."""
        rows = [list(self.columns), *self.rows]
        widths = [max(_width(row[index]) for row in rows) for index in range(len(self.columns))]
        lines = ["  ".join(_pad(cell, widths[i], i in self.numbers) for i, cell in enumerate(row)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]]) + "\n"


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in cell)


def _pad(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def table(columns: Mapping[str, Sequence[str]], numbers: Sequence[str]) -> Table:
    """Build a table from its columns.

    Args:
        columns: title to cells.
        numbers: the titles of columns that are set flush right.
    """
    titles = list(columns)
    return Table(titles, list(zip(*columns.values(), strict=True)), frozenset(titles.index(title) for title in numbers))


def claims(records: Sequence[Mapping[str, Any]]) -> Table:
    """The verdict table."""
    return table(
        {
            "verdict": [f"{MARKS[record['verdict']]} {record['verdict']}" for record in records],
            "claim": [record["name"] for record in records],
            "effect": [shown(record["effect"], record["metric"], sign=True) for record in records],
            "interval": [interval(record["interval"], record["metric"], sign=True) for record in records],
            "metric": [record["metric"] for record in records],
            "p (Holm)": [shown(record["p_adjusted"], "p") for record in records],
            "detectable": [shown(record["minimum_detectable_effect"], record["metric"]) for record in records],
        },
        ["effect", "interval", "p (Holm)", "detectable"],
    )


def models(records: Sequence[Mapping[str, Any]]) -> Table:
    """Scores of models of task B beside their difference from the base."""
    return table(
        {
            "model": [record["name"] for record in records],
            "BLEU": [_score(record, "bleu") for record in records],
            "interval": [interval((record["scores"].get("bleu") or {}).get("interval"), "bleu") for record in records],
            f"vs {BASE}": [shown((record["difference"] or {}).get("estimate"), "bleu", sign=True) for record in records],
            "interval of difference": [
                interval((record["difference"] or {}).get("interval"), "bleu", sign=True) for record in records
            ],
            "word": [word(record) for record in records],
        },
        ["BLEU", "interval", f"vs {BASE}", "interval of difference"],
    )


def details(records: Sequence[Mapping[str, Any]]) -> Table:
    """The other measures of models of task B."""
    return table(
        {
            "model": [record["name"] for record in records],
            "changes": [f"{record['axis']} = {record['value']}" if record["axis"] else "–" for record in records],
            "s_opt": [shown((record["scores"].get("bleu") or {}).get("s_opt"), "bleu") for record in records],
            "s_sel": [shown((record["scores"].get("bleu") or {}).get("s_sel"), "bleu") for record in records],
            "chrF": [_score(record, "chrf") for record in records],
            "TER": [_score(record, "ter") for record in records],
            "exact %": [_score(record, "exact") for record in records],
            "length ratio": [shown(record["length_ratio"], "ratio") for record in records],
            "valid loss": [shown(record.get("best_valid_loss"), "loss") for record in records],
            "train loss": [shown(record.get("train_loss"), "loss") for record in records],
            "parameters": [_count(record, "total") for record in records],
            "trained": [_count(record, "trainable") for record in records],
        },
        ["s_opt", "s_sel", "chrF", "TER", "exact %", "length ratio", "valid loss", "train loss", "parameters", "trained"],
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
            "BLEU": [_score(record, "bleu") for record in records],
            "chrF": [_score(record, "chrf") for record in records],
            "valid loss": [shown(record.get("best_valid_loss"), "loss") for record in records],
            "updates": [f"{record['updates']:,}" if "updates" in record else "–" for record in records],
            "parameters": [_count(record, "total") for record in records],
        },
        ["test loss", "perplexity", "accuracy", "BLEU", "chrF", "valid loss", "updates", "parameters"],
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
