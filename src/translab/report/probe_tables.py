"""The tables of probes, splits and errors: how the numbers of `reports/probes.json` are read side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translab.comparison.rounding import interval, shown
from translab.comparison.testsets import PROBE, TEST_SET
from translab.report.sheets import Table, table

SIGN = {"chance": "○", "better": "▲", "worse": "▼"}
"""A sign for what a score is."""


@dataclass(frozen=True)
class Matrix:
    """Models by splits or by probes."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Mapping[str, Any] | None]]]
    """Model and a measured score (metric, mean, interval, difference, perhaps at_chance) for each column."""

    def table(self) -> Table:
        """The same as text."""
        cells = [[f"{marked(cell)} ({between(cell)})" if cell else "–" for cell in row] for _, row in self.rows]
        columns = dict(zip(self.columns, zip(*cells, strict=True), strict=True))
        return table({"model": [name for name, _ in self.rows], **columns}, self.columns) if cells else table({"model": []}, [])


def choices(records: Sequence[Mapping[str, Any]]) -> Matrix:
    """Forced choice on the probes."""
    return _matrix({(record["name"], record["set"]): record for record in records if record["metric"] == "choice"})


def generated(records: Sequence[Mapping[str, Any]]) -> Matrix:
    """Acceptance of free generation on the probes."""
    chosen = [record for record in records if record["kind"] == "probe"]
    return _matrix({(record["name"], record["set"]): record["acceptance"] for record in chosen})


def splits(records: Sequence[Mapping[str, Any]]) -> Matrix:
    """The primary metric on the test set and on the other splits."""
    return _matrix({(record["name"], record["set"]): record for record in records if record["kind"] == "split"})


def _matrix(cells: Mapping[tuple[str, str], Mapping[str, Any]]) -> Matrix:
    names, sets = dict.fromkeys(name for name, _ in cells), dict.fromkeys(test_set for _, test_set in cells)
    rows = [(name, [cells.get((name, test_set)) for test_set in sets]) for name in names]
    return Matrix([title(test_set) for test_set in sets], rows)


def title(test_set: str) -> str:
    """A split or probe as the head of a column: `probe-word-order` is `word order`."""
    return test_set.removeprefix(PROBE).removeprefix(f"{TEST_SET}-").replace("-", " ")


def between(record: Mapping[str, Any]) -> str:
    """The interval of a score, which is never negative: a dash takes less room than a word."""
    return interval(record["interval"], record["metric"]).replace(" to ", "–")


def marked(record: Mapping[str, Any] | None) -> str:
    """A mean with the signs that say what it is."""
    if record is None:
        return "–"
    return " ".join([shown(record["mean"], record["metric"]), *signs(record)])


def signs(record: Mapping[str, Any]) -> list[str]:
    """The signs of `appearance`, for readers who do not see colours."""
    return [SIGN[kind] for kind in appearance(record).split()]


def appearance(record: Mapping[str, Any]) -> str:
    """`chance` if its interval holds chance, `better` or `worse` than the base after Holm, as classes of a cell."""
    kinds = ["chance"] * bool(record.get("at_chance")) + [(record["difference"] or {}).get("word")]
    return " ".join(kind for kind in kinds if kind in SIGN)


def parts(records: Sequence[Mapping[str, Any]], test_set: str) -> Table:
    """Forced choice on the parts of one probe."""
    chosen = [record for record in records if record["set"] == test_set and record["parts"]]
    heads = [f"{part['part']} ({part['items']:,})" for part in chosen[0]["parts"]] if chosen else []
    cells = [[f"{shown(part['mean'], 'choice')} ({between(part)})" for part in record["parts"]] for record in chosen]
    columns = dict(zip(heads, zip(*cells, strict=True), strict=True))
    return table({"model": [record["name"] for record in chosen], **columns}, heads)


def rates(records: Sequence[Mapping[str, Any]], test_set: str) -> Table:
    """Truncation and over-generation in percent, each seed beside the mean."""
    chosen = [record for record in records if record["set"] == test_set and record["rates"]]
    columns = {
        head: [_with_seeds(record["rates"][rate]) for record in chosen]
        for rate, head in (("truncated", "truncated %"), ("overrun", "over-generated %"))
        if all(rate in record["rates"] for record in chosen)
    }
    return table({"model": [record["name"] for record in chosen], **columns}, list(columns))


def _with_seeds(found: Mapping[str, Any]) -> str:
    return f"{shown(found['mean'], 'percent')} ({', '.join(shown(value, 'percent') for value in found['raw'])})"


def errors(records: Sequence[Mapping[str, Any]], test_set: str) -> Table:
    """Kinds of errors in percent of all outputs; the most frequent over all models and splits comes first."""
    totals: dict[str, float] = {}
    for record in records:
        for kind, found in record["errors"].items():
            totals[kind] = totals.get(kind, 0) + found["mean"]
    kinds = sorted(totals, key=lambda kind: (-totals[kind], kind))
    chosen = [record for record in records if record["set"] == test_set and record["errors"]]
    columns = {
        kind: [shown(record["errors"].get(kind, {"mean": 0.0})["mean"], "percent") for record in chosen] for kind in kinds
    }
    return table({"model": [record["name"] for record in chosen], **columns}, kinds)


def closer(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, Table]]:
    """(split or probe, heading, table) of what lies behind the two matrices: parts of probes, sentence ends, errors."""
    sets = list(dict.fromkeys(record["set"] for record in records))
    found = [(test_set, f"{title(test_set)}: forced choice by part (items)", parts(records, test_set)) for test_set in sets]
    found += [(test_set, f"{title(test_set)}: where translations end", rates(records, test_set)) for test_set in sets]
    found += [(test_set, f"{title(test_set)}: errors in percent of outputs", errors(records, test_set)) for test_set in sets]
    return [entry for entry in found if entry[2].rows]
