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
from itertools import pairwise
from typing import Any

import numpy as np

from translab.comparison.results import BASE, Grid
from translab.comparison.rounding import interval, rounded, shown
from translab.comparison.statistics import MINIMUM_SEEDS, effect, run_variances


def updates_to_threshold(grid: Grid, confidence: float) -> dict[str, dict[str, Any]]:
    """Name of each usable model of task B to {threshold, mean, interval, reached, seeds, early, within, late, beyond, raw}.

    `mean` and `interval` are None where a seed is censored, and `raw` has None for each such seed. `early` counts those that
    were there at their first validation, all within `within` updates; `late` those that never were, all in more than `beyond`,
    the fewest that were not enough. `reached` counts all seeds that arrived. Empty where the base cannot be used.

    Args:
        grid: all results.
        confidence: level of the intervals.
    """
    base = grid.cells[BASE]
    if base.problems or not base.runs:
        return {}
    threshold = float(np.mean([run.metrics["best_valid_loss"] for run in base.runs.values()]))
    cells = {name: cell for name, cell in grid.cells.items() if cell.stage != "pretrain" and cell.runs and not cell.problems}
    found = {name: [crossing(run.history, threshold) for run in cell.runs.values()] for name, cell in cells.items()}
    first = {name: [_first(run.history, threshold) for run in cell.runs.values()] for name, cell in cells.items()}
    whole = {name: np.array(raw, dtype=np.float64) for name, raw in found.items() if None not in raw}
    variances = run_variances(whole)
    records = {}
    for name, raw in found.items():
        early = [update for update in first[name] if update is not None]
        late = [
            int(run.metrics["updates"])
            for run, update, at_once in zip(cells[name].runs.values(), raw, first[name], strict=True)
            if update is None and at_once is None
        ]
        record: dict[str, Any] = {
            "threshold": rounded(threshold, "loss"),
            "mean": rounded(float(whole[name].mean()), "updates") if name in whole else None,
            "interval": None,
            "reached": len(raw) - len(late),
            "seeds": len(raw),
            "early": len(early),
            "within": rounded(max(early), "updates") if early else None,
            "late": len(late),
            "beyond": min(late, default=None),
            "raw": [rounded(update, "updates") for update in raw],
        }
        if name in whole and len(raw) >= MINIMUM_SEEDS:
            low, high = effect({name: 1}, whole, variances, None, 0).interval(confidence)
            record["interval"] = [rounded(max(low, 0.0), "updates"), rounded(high, "updates")]
        records[name] = record
    return records


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
