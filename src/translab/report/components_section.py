"""Where the variance between seeds comes from: initialisation, order of the data, dropout, or the subset that is drawn.

A run draws each of these with its own seed, unless `randomness` of its values gives a number: then every seed draws the same.
An arm in which one source alone varies shows what this source does by itself (Bouthillier et al. 2021, "Accounting for Variance
in Machine Learning Benchmarks"). With S seeds and sample variance s²,

    (S − 1) s² / χ²(1 − α/2, S − 1)  to  (S − 1) s² / χ²(α/2, S − 1)

is the interval of the variance of a normal score; its roots are shown as standard deviations, in the metric's units. The arm is
put beside the model that has the same values otherwise and in which every source varies. Components need not add up to its
variance: what sources do together belongs to none of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import chdtri

from translab.comparison.evidence import Evidence
from translab.comparison.results import Cell, Grid
from translab.comparison.rounding import interval, rounded, shown
from translab.comparison.statistics import MINIMUM_SEEDS
from translab.report.sheets import Table, table

OWN = "run"
"""What `randomness` says of a source that the run's own seed draws."""

ALL, NONE = "all together", "none"
"""What varies in an arm in which every source varies, and in one in which none does: there two runs are the same run."""

Record = Mapping[str, Any]


def records(grid: Grid, evidence: Sequence[Evidence], metric: str, confidence: float) -> list[dict[str, Any]]:
    """One record for each arm that varies at most one source of randomness, and for the models they are put beside.

    Args:
        grid: all results.
        evidence: that of the primary test set.
        metric: the primary one.
        confidence: level of the intervals.
    """
    groups: dict[str, list[tuple[str, Cell]]] = {}
    for cell in grid.cells.values():
        varying = _varying(cell)
        if varying is not None:
            groups.setdefault(_otherwise(cell), []).append((varying, cell))
    made: list[dict[str, Any]] = []
    for group in groups.values():
        if all(varying == ALL for varying, _ in group):
            continue  # nothing is held still here
        ordered = sorted(group, key=lambda entry: entry[0] != ALL)
        measured = [
            (varying, cell.name, raw)
            for varying, cell in ordered
            for piece in evidence
            if (raw := _raw(piece, cell.name, metric)) is not None
        ]
        whole = next((float(np.var(raw, ddof=1)) for varying, _, raw in measured if varying == ALL), None)
        made.extend(_record(varying, name, raw, whole, metric, confidence) for varying, name, raw in measured)
    return made


def _varying(cell: Cell) -> str | None:
    """The one source that varies between the seeds of an arm, ALL or NONE; None for several, or where it is not said."""
    if cell.problems or cell.first is None or cell.stage != "ablate":
        return None
    randomness = cell.first.config["values"].get("randomness")
    if randomness is None:
        return None
    own = [source for source, seed in randomness.items() if seed == OWN]
    if len(own) in (0, len(randomness)):
        return ALL if own else NONE
    return own[0] if len(own) == 1 else None


def _otherwise(cell: Cell) -> str:
    """The values of a model without its randomness."""
    assert cell.first is not None
    return json.dumps({key: value for key, value in cell.first.config["values"].items() if key != "randomness"}, sort_keys=True)


def _raw(piece: Evidence, name: str, metric: str) -> list[float] | None:
    measured = piece.measurements.get(metric, {}).get(name)
    return measured.raw if measured is not None and len(measured.raw) > 1 else None


def _record(
    varying: str, name: str, raw: Sequence[float], whole: float | None, metric: str, confidence: float
) -> dict[str, Any]:
    variance = float(np.var(raw, ddof=1))
    return {
        "varies": varying,
        "name": name,
        "metric": metric,
        "mean": rounded(float(np.mean(raw)), metric),
        "deviation": rounded(math.sqrt(variance), metric),
        "interval": deviation_interval(variance, len(raw), metric, confidence),
        "share": rounded(100 * variance / whole, "percent") if whole else None,
        "seeds": len(raw),
        "raw": [rounded(score, metric) for score in raw],
    }


def deviation_interval(variance: float, seeds: int, metric: str, confidence: float) -> list[float | None] | None:
    """The interval of a standard deviation by chi-square; None below three seeds.

    Args:
        variance: s², the sample variance.
        seeds: S.
        metric: how the bounds are rounded.
        confidence: level of the interval.
    """
    if seeds < MINIMUM_SEEDS:
        return None
    freedom, tail = seeds - 1, (1 - confidence) / 2
    # chdtri(k, p) is the value that a chi-square variable of k degrees of freedom passes with probability p.
    return [rounded(math.sqrt(freedom * variance / float(chdtri(freedom, p))), metric) for p in (tail, 1 - tail)]


def contents(found: Sequence[Record]) -> Table | None:
    """The section's table; None where no arm holds a source still.

    Args:
        found: from `records`.
    """
    if not found:
        return None
    columns = {
        "varies": [record["varies"] for record in found],
        "model": [record["name"] for record in found],
        "seeds": [str(record["seeds"]) for record in found],
        "mean": [shown(record["mean"], record["metric"]) for record in found],
        "standard deviation": [shown(record["deviation"], record["metric"]) for record in found],
        "interval": [interval(record["interval"], record["metric"]) for record in found],
        "share of the variance %": [shown(record["share"], "percent") for record in found],
        "by seed": [", ".join(shown(score, record["metric"]) for score in record["raw"]) for record in found],
    }
    return table(columns, ["seeds", "mean", "standard deviation", "interval", "share of the variance %"])
