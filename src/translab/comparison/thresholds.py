"""How soon a model is as good as the base at its best: updates to the threshold.

The threshold is the mean over seeds of the best validation loss of `base`, which is trained from scratch. A run reaches it at
the first update at which its validation loss, interpolated linearly between two validations, is no higher; a run that is there
at its first validation counts with that validation's update. A run that ends above the threshold is *censored*: all that is
known is that it needs more than its last update. A mean over the seeds that arrived would be a mean of the fortunate, so one
censored seed leaves a model without a mean: how many of its seeds arrived is said, and in how many updates the others did not.

The interval is the t interval of statistics.py over seeds, variances moderated over all models of which every seed arrived. It
has no sentence part, since all runs are validated on the same sentences, and it takes the threshold as given. The threshold is
a mean of best losses, so seeds of the base lie on both sides of it, and the base too may be censored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from translab.comparison.results import BASE, Cell, Grid
from translab.comparison.rounding import interval, rounded, shown
from translab.comparison.statistics import MINIMUM_SEEDS, effect, run_variances


def updates_to_threshold(grid: Grid, confidence: float) -> dict[str, dict[str, Any]]:
    """Name of each usable model of task B to {threshold, mean, interval, reached, seeds, beyond, raw}.

    `mean` and `interval` are None where a seed is censored, `beyond` is then the fewest updates that were not enough; `raw` has
    None for each censored seed. Empty where the base cannot be used.

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
    whole = {name: np.array(raw, dtype=np.float64) for name, raw in found.items() if None not in raw}
    variances = run_variances(whole)
    records = {}
    for name, raw in found.items():
        record: dict[str, Any] = {
            "threshold": rounded(threshold, "loss"),
            "mean": rounded(float(whole[name].mean()), "updates") if name in whole else None,
            "interval": None,
            "reached": sum(update is not None for update in raw),
            "seeds": len(raw),
            "beyond": None if name in whole else _beyond(cells[name], raw),
            "raw": [rounded(update, "updates") for update in raw],
        }
        if name in whole and len(raw) >= MINIMUM_SEEDS:
            low, high = effect({name: 1}, whole, variances, None, 0).interval(confidence)
            record["interval"] = [rounded(max(low, 0.0), "updates"), rounded(high, "updates")]
        records[name] = record
    return records


def crossing(history: Sequence[Mapping[str, float]], threshold: float) -> float | None:
    """The update at which the validation loss first is no higher than the threshold; None if it never is."""
    rows = [(row["step"], row["valid_loss"]) for row in history if "valid_loss" in row]
    if not rows:
        return None
    if rows[0][1] <= threshold:
        return rows[0][0]
    for (before, above), (after, below) in pairwise(rows):
        if below <= threshold:
            return before + (after - before) * (above - threshold) / (above - below)
    return None


def _beyond(cell: Cell, raw: Sequence[float | None]) -> int:
    return min(int(run.metrics["updates"]) for run, update in zip(cell.runs.values(), raw, strict=True) if update is None)


def told(record: Mapping[str, Any] | None) -> str:
    """Updates to the threshold in a cell of a table, with the interval, or with how many seeds arrived.

    >>> told({"mean": 420, "interval": [400, 440], "reached": 3, "seeds": 3, "beyond": None})
    '420 (400–440)'
    >>> told({"mean": None, "interval": None, "reached": 2, "seeds": 3, "beyond": 600})
    '> 600 (2 of 3 seeds)'
    """
    if record is None:
        return "–"
    if record["mean"] is None:
        return f"> {shown(record['beyond'], 'updates')} ({record['reached']} of {record['seeds']} seeds)"
    bounds = f" ({interval(record['interval'], 'updates').replace(' to ', '–')})" if record["interval"] else ""
    return f"{shown(record['mean'], 'updates')}{bounds}"
