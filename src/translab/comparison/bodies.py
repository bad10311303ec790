"""Bodies compared: the Transformer and recurrent networks, each at the best of its learning rates, and how far each remembers.

A body is judged at its own best rate: among the runs that differ from the base in nothing but body and learning rate, the rate
with the lowest mean best validation loss. The test set plays no part in the choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.results import Cell
from translab.comparison.rounding import significant
from translab.comparison.statistics import MINIMUM_SEEDS, Effect
from translab.comparison.sufficient import Array

BODY, RATE = "model.body", "optimisation.learning_rate"

FIRST = 1
"""The distance by whose norm a curve is divided, so that those of different bodies can be compared."""


def identity(cell: Cell, confidence: float) -> dict[str, Any]:
    """What a record says of a model's body."""
    if cell.first is None:
        return {}
    values = cell.first.config["values"]
    return {
        "body": values["model"]["body"],
        "learning_rate": values["optimisation"]["learning_rate"],
        "memory": memory(cell, confidence),
    }


def chosen(ablations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The record of each body at its best rate, `rates` being {rate: best validation loss} of all that were tried.

    Empty where there is only one body. A body with a run that cannot be used is left out: its best rate is not known.

    Args:
        ablations: records of `reports/ablations.json`.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in ablations:
        if record.get("body") and set((record["axis"] or BODY).split("+")) <= {BODY, RATE}:
            groups.setdefault(record["body"], []).append(record)
    made = []
    for tried in groups.values():
        if any(record["problems"] or record["best_valid_loss"] is None for record in tried):
            continue
        rates = {record["learning_rate"]: record["best_valid_loss"] for record in tried}
        made.append(dict(min(tried, key=lambda record: record["best_valid_loss"])) | {"rates": rates})
    return made if len(groups) > 1 else []


def memory(cell: Cell, confidence: float) -> list[dict[str, Any]]:
    """How strongly a type moves the encoder's state `distance` types later, over seeds.

        relative(k) = norm(k) / norm(1)        of each seed

    is what curves of different bodies share: their states have scales of their own (normalised or not), which cancel. It is
    counted from k = 1, since at k = 0 some bodies read [END] and others a word.

    Norms span orders of magnitude and are positive, so mean and interval are those of their logarithms (a geometric mean).
    Distances that a seed lacks, or where its norm is 0, are left out; without k = 1, or below it, `relative` is None.

    Args:
        cell: one model with all its seeds.
        confidence: level of the intervals.
    """
    curves = [{entry["distance"]: entry["norm"] for entry in run.memory} for run in cell.runs.values()]
    if cell.problems or not curves:
        return []
    made = []
    for distance in sorted(set.intersection(*(set(curve) for curve in curves))):
        norms = _norms(curves, distance)
        if norms is None:
            continue
        first = _norms(curves, FIRST) if distance >= FIRST else None
        mean, interval = _geometric(norms, confidence)
        made.append({"distance": distance, "norm": mean, "interval": interval, "relative": None, "relative_interval": None})
        if first is not None:
            made[-1]["relative"], made[-1]["relative_interval"] = _geometric(norms / first, confidence)
    return made


def _norms(curves: Sequence[Mapping[int, float]], distance: int) -> Array | None:
    """The norm of each seed; None unless every seed has one above 0."""
    norms = np.array([curve.get(distance, math.nan) for curve in curves], dtype=np.float64)
    return norms if np.isfinite(norms).all() and (norms > 0).all() else None


def _geometric(values: Array, confidence: float) -> tuple[float, list[float] | None]:
    """Geometric mean over seeds, and the t interval of the logarithms (None below three seeds)."""
    logarithms, seeds = np.log(values), len(values)
    mean = float(logarithms.mean())
    if seeds < MINIMUM_SEEDS:
        return significant(math.exp(mean)), None
    found = Effect(mean, seeds, float(np.var(logarithms, ddof=1)) / seeds, seeds - 1, 0.0, math.inf)
    return significant(math.exp(mean)), [significant(math.exp(bound)) for bound in found.interval(confidence)]
