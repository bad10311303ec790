"""How soon a model is as good as the base at its best: updates to the threshold.

The threshold is the mean over seeds of the best validation loss of `base`, which is trained from scratch. A run reaches it at
the first update at which its validation loss, interpolated linearly between two validations, is no higher. A run is *censored*
where that update is not known: one that ends above the threshold needs more than its last update, one that is there at its
first validation needed no more than that. A mean over the others would be a mean of the fortunate, or of the slow, so one
censored seed leaves a model without a mean: how many of its seeds are censored on which side is said, and at which update.

The interval is the t interval of statistics.py over seeds, variances moderated over all models of which every seed arrived. It
has no sentence part, since all runs are validated on the same sentences, and it takes the threshold as given. The threshold is
a mean of best losses, so seeds of the base lie on both sides of it, and the base too may be censored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from translab.comparison.results import BASE, Grid, Run
from translab.comparison.rounding import interval, rounded, shown
from translab.comparison.statistics import MINIMUM_SEEDS, effect, run_variances
from translab.comparison.sufficient import Array


@dataclass(frozen=True)
class Arrival:
    """When one run reached the threshold: one of the three is known."""

    update: float | None
    early: float | None
    """It was there at its first validation, after so many updates."""
    late: int | None
    """It was not there after its last update."""


def arrivals(grid: Grid) -> tuple[float, dict[str, list[Arrival]]] | None:
    """The threshold, and the arrivals of every usable model of task B, one a seed; None where the base cannot be used."""
    base = grid.cells[BASE]
    losses = [run.metrics["best_valid_loss"] for run in base.runs.values()]
    if base.problems or not losses or None in losses:
        return None
    threshold = float(np.mean(losses))
    return threshold, {
        name: [_arrival(run, threshold) for run in cell.runs.values()]
        for name, cell in grid.cells.items()
        if cell.stage != "pretrain" and cell.runs and not cell.problems
    }


def _arrival(run: Run, threshold: float) -> Arrival:
    update, early = crossing(run.history, threshold), _first(run.history, threshold)
    return Arrival(update, early, int(run.metrics["updates"]) if update is None and early is None else None)


def updates_to_threshold(grid: Grid, confidence: float) -> dict[str, dict[str, Any]]:
    """Name of each usable model of task B to {threshold, mean, interval, reached, seeds, early, within, late, beyond, raw}.

    `mean` and `interval` are None where a seed is censored, and `raw` has None for each such seed. `early` counts those that
    were there at their first validation, all within `within` updates; `late` those that never were, all in more than `beyond`,
    the fewest that were not enough. `reached` counts all seeds that arrived. Empty where the base cannot be used.

    Args:
        grid: all results.
        confidence: level of the intervals.
    """
    found = arrivals(grid)
    if found is None:
        return {}
    threshold, by_name = found
    whole = {name: times for name, runs in by_name.items() if (times := _times(runs)) is not None}
    variances = run_variances(whole)
    records = {}
    for name, runs in by_name.items():
        early = [run.early for run in runs if run.early is not None]
        late = [run.late for run in runs if run.late is not None]
        record: dict[str, Any] = {
            "threshold": rounded(threshold, "loss"),
            "mean": rounded(float(whole[name].mean()), "updates") if name in whole else None,
            "interval": None,
            "reached": len(runs) - len(late),
            "seeds": len(runs),
            "early": len(early),
            "within": rounded(max(early), "updates") if early else None,
            "late": len(late),
            "beyond": min(late, default=None),
            "raw": [rounded(run.update, "updates") for run in runs],
        }
        if name in whole and len(runs) >= MINIMUM_SEEDS:
            low, high = effect({name: 1}, whole, variances, None, 0).interval(confidence)
            record["interval"] = [rounded(max(low, 0.0), "updates"), rounded(high, "updates")]
        records[name] = record
    return records


def _times(runs: Sequence[Arrival]) -> Array | None:
    """The updates of all seeds; None where one is censored."""
    times = [run.update for run in runs if run.update is not None]
    return np.array(times) if len(times) == len(runs) else None


def bounded(runs: Sequence[Arrival], later_is_against: bool) -> list[float] | None:
    """The updates of all seeds, a censored one at its bound; None where a bound would speak for the claim.

    Args:
        runs: one a seed.
        later_is_against: whether more updates of this model speak against the claim. One that arrived early came no later than
            its bound, one that never arrived no sooner.
    """
    ends = [run.early if later_is_against else run.late for run in runs]
    times = [run.update if run.update is not None else end for run, end in zip(runs, ends, strict=True)]
    known = [float(time) for time in times if time is not None]
    return known if len(known) == len(times) else None


def crossing(history: Sequence[Mapping[str, float]], threshold: float) -> float | None:
    """The update at which the validation loss falls to the threshold; None if it never does, or began no higher."""
    if _first(history, threshold) is not None:
        return None
    rows = _validations(history)
    for (before, above), (after, below) in pairwise(rows):
        if below <= threshold:
            return before + (after - before) * (above - threshold) / (above - below)
    return None


def _first(history: Sequence[Mapping[str, float]], threshold: float) -> float | None:
    """The first validation's update where the threshold was crossed before it; else None."""
    rows = _validations(history)
    return rows[0][0] if rows and rows[0][1] <= threshold else None


def _validations(history: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    return [(row["step"], row["valid_loss"]) for row in history if "valid_loss" in row]


def told(record: Mapping[str, Any] | None) -> str:
    """Updates to the threshold in a cell of a table, with the interval, or with how many seeds are known by a bound alone.

    >>> told({"mean": 420, "interval": [400, 440], "seeds": 3})
    '420 (400–440)'
    >>> told({"mean": None, "seeds": 3, "early": 2, "within": 110, "late": 1, "beyond": 600})
    '≤ 110 (2 of 3 seeds), > 600 (1 of 3 seeds)'
    """
    if record is None:
        return "–"
    if record["mean"] is None:
        sides = (("≤", "within", "early"), (">", "beyond", "late"))
        return ", ".join(
            f"{sign} {shown(record[bound], 'updates')} ({record[count]} of {record['seeds']} seeds)"
            for sign, bound, count in sides
            if record[count]
        )
    bounds = f" ({interval(record['interval'], 'updates').replace(' to ', '–')})" if record["interval"] else ""
    return f"{shown(record['mean'], 'updates')}{bounds}"
