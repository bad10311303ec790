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

BODY, RATE = "model.body", "optimisation.learning_rate"


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

    Norms span orders of magnitude and are positive, so mean and interval are those of their logarithms (a geometric mean).
    Distances that a seed lacks, or where its norm is 0, are left out.

    Args:
        cell: one model with all its seeds.
        confidence: level of the intervals.
    """
    curves = [{entry["distance"]: entry["norm"] for entry in run.memory} for run in cell.runs.values()]
    if cell.problems or not curves:
        return []
    made = []
    for distance in sorted(set.intersection(*(set(curve) for curve in curves))):
        norms = np.array([curve[distance] for curve in curves], dtype=np.float64)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            continue
        logarithms, seeds = np.log(norms), len(norms)
        bounds = None
        if seeds >= MINIMUM_SEEDS:
            spread = float(np.var(logarithms, ddof=1)) / seeds
            bounds = Effect(float(logarithms.mean()), seeds, spread, seeds - 1, 0.0, math.inf).interval(confidence)
        made.append(
            {
                "distance": distance,
                "norm": significant(math.exp(float(logarithms.mean()))),
                "interval": [significant(math.exp(bound)) for bound in bounds] if bounds else None,
            }
        )
    return made
