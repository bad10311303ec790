"""What a model can do beyond the test set: one rounded record for each model and each probe or split.

A *split* is a test set like any other; a *probe* isolates one phenomenon and is answered by forced choice, where chance is
50 %, beside free generation. The records are those of `reports/probes.json`; tables, figures and the page show their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.differences import comparable, differences, measured
from translab.comparison.evidence import Evidence, primary
from translab.comparison.items import Probe
from translab.comparison.results import Cell, Grid
from translab.comparison.rounding import rounded
from translab.comparison.testsets import PART, PROBE

CHANCE = 50.0
"""Percent of forced choices that are right by chance."""

RATES = ("truncated", "overrun")
"""Shares that `scores.json` gives of a probe of sentence ends."""


def names_of(grid: Grid) -> list[str]:
    """Splits and probes on which models of task B were scored, the splits first."""
    found = [name for name in grid.test_sets if PART not in name]
    return sorted(found, key=lambda name: name.startswith(PROBE))


def probe_records(grid: Grid, evidence: Mapping[str, Sequence[Evidence]], confidence: float) -> list[dict[str, Any]]:
    """One record for each model of task B and each split or probe, in the grid's order.

    Args:
        grid: all results.
        evidence: test set (split, probe, part of a probe) to the evidence on it.
        confidence: level of the intervals.
    """
    records = []
    for test_set in names_of(grid):
        for stage in ("ablate", "finetune"):
            names = [
                name
                for name, cell in grid.usable(test_set).items()
                # A model that was not trained translates nothing.
                if cell.stage == stage and all(run.tests[test_set].digest for run in cell.runs.values())
            ]
            records.extend(_records(grid, evidence, names, test_set, confidence))
    return records


def _records(
    grid: Grid, evidence: Mapping[str, Sequence[Evidence]], names: Sequence[str], test_set: str, confidence: float
) -> list[dict[str, Any]]:
    metric = primary(evidence[test_set], names)
    alike = comparable(grid, names)
    compared = {kind: differences(alike, evidence[test_set], kind, confidence) for kind in {metric, "acceptance"}}
    records = []
    for name in names:
        piece = next(piece for piece in evidence[test_set] if name in piece.measurements.get(metric, {}))
        record = {
            "name": name,
            "set": test_set,
            "kind": "probe" if test_set.startswith(PROBE) else "split",
            "metric": metric,
            "chance": CHANCE if metric == "choice" else None,
            **measured(piece, name, metric, confidence),
            "difference": compared[metric].get(name),
            "acceptance": None,
            "items": _items(grid.cells[name], test_set),
            "parts": [
                {"part": part.removeprefix(test_set + PART), "metric": metric, "items": _items(grid.cells[name], part)} | found
                for part in grid.test_sets
                if part.startswith(test_set + PART)
                for found in _of(evidence[part], name, metric, confidence)
            ],
            "rates": rates(grid.cells[name], test_set),
            "errors": errors(grid.cells[name], test_set),
        }
        record["at_chance"] = _at_chance(record)
        if "acceptance" in piece.measurements:
            record["acceptance"] = {
                "metric": "acceptance",
                **measured(piece, name, "acceptance", confidence),
                "difference": compared["acceptance"].get(name),
            }
        records.append(record)
    return records


def _of(evidence: Sequence[Evidence], name: str, metric: str, confidence: float) -> list[dict[str, Any]]:
    return [measured(piece, name, metric, confidence) for piece in evidence if name in piece.measurements.get(metric, {})]


def _at_chance(record: Mapping[str, Any]) -> bool | None:
    """Whether chance lies within the interval; None where there is no chance level or no interval."""
    if record["chance"] is None or record["interval"] is None:
        return None
    low, high = record["interval"]
    return bool(low <= record["chance"] <= high)


def _items(cell: Cell, test_set: str) -> int:
    assert cell.first is not None
    figures = cell.first.tests[test_set].figures
    return int(figures["items"] if "items" in figures else figures["sentences"])


def rates(cell: Cell, test_set: str) -> dict[str, dict[str, Any]]:
    """Truncation and over-generation in percent of the sources where they can occur: mean over seeds, and each seed."""
    figures = [run.tests[test_set].figures for run in cell.runs.values()]
    return {rate: _percent([found[rate] for found in figures]) for rate in RATES if all(rate in found for found in figures)}


def errors(cell: Cell, test_set: str) -> dict[str, dict[str, Any]]:
    """Kind of error to its share of all outputs in percent: mean over seeds, and each seed; the most frequent first."""
    figures = [run.tests[test_set].figures for run in cell.runs.values()]
    kinds = sorted({kind for found in figures for kind in found.get("errors", {})})
    shares = {kind: _percent([found["errors"].get(kind, 0) / found["sentences"] for found in figures]) for kind in kinds}
    return dict(sorted(shares.items(), key=lambda item: -item[1]["mean"]))


def _percent(shares: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": rounded(100 * sum(shares) / len(shares), "percent"),
        "raw": [rounded(100 * share, "percent") for share in shares],
    }


def examples(grid: Grid) -> dict[str, list[dict[str, str | None]]]:
    """Probe's test set to the two items of its first twin."""
    return {
        name: test.items[:2]
        for cell in grid.cells.values()
        for run in cell.runs.values()
        for name, test in run.tests.items()
        if isinstance(test, Probe)
    }
