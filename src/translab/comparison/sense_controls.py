"""Did a method learn context? Its sense separation minus that of two controls, word by word and seed by seed.

    AUC(contextual) − AUC(control)        of each seed and each word, [S, W]

The controls are a method that was not trained, and the mean of the method's own static vectors around the word. An AUC of 0.5
is that of static vectors alone (all ties) and no null for vectors that see the sentence: function words and endings go with a
sense now and then, so that a bag of one-hot vectors lies a little above it. The differences are paired by word and by seed, and
their variance is the crossed one of intrinsic.py; the methods' p values are adjusted together (Holm), for each control apart.

Shapes: S seeds, W words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.differences import tested
from translab.comparison.intrinsic import crossed
from translab.comparison.results import Cell
from translab.comparison.rounding import rounded
from translab.comparison.sufficient import Array

UNTRAINED, CONTEXT = "minus_untrained", "minus_context_mean"
"""Keys of the differences from the two controls; the key `control` of the first names the method that was not trained."""

ENCODER = "translation"
"""The method whose untrained encoder is the control of methods that have none of their own."""

Areas = dict[int, Mapping[str, float]]
"""Seed to the AUC of each word."""


def against_controls(cells: Sequence[Cell], untrained: Collection[str], confidence: float) -> dict[str, dict[str, Any]]:
    """Name of each trained method with vectors in context to its difference from each control, None without such a control.

    Args:
        cells: all methods.
        untrained: the names of those that were not trained.
        confidence: level of the intervals.
    """
    contextual = {cell.name: (cell, areas) for cell in cells if not cell.problems and (areas := _areas(cell, "contextual"))}
    controls = {name: cell for name, (cell, _) in contextual.items() if name in untrained}
    trained = {name: found for name, found in contextual.items() if name not in untrained}
    chosen = {name: _control(cell, controls) for name, (cell, _) in trained.items()}
    others: dict[str, dict[str, Areas]] = {
        UNTRAINED: {name: contextual[control][1] for name, control in chosen.items() if control is not None},
        CONTEXT: {name: _areas(cell, "context_mean") for name, (cell, _) in trained.items()},
    }
    made: dict[str, dict[str, Any]] = {name: {UNTRAINED: None, CONTEXT: None} for name in trained}
    for key, against in others.items():
        tables = {name: table for name, other in against.items() if (table := _minus(trained[name][1], other)).size}
        effects = {name: effect for name, table in tables.items() if (effect := crossed(table)) is not None}
        told = tested(effects, "auc", 1 - confidence)
        for name, table in tables.items():
            made[name][key] = {
                **({"control": chosen[name]} if key == UNTRAINED else {}),
                "metric": "auc",
                "estimate": rounded(float(table.mean()), "auc"),
                "raw": [rounded(float(value), "auc") for value in table.mean(axis=1)],
                "word": "not decidable",
                **told.get(name, {}),
            }
    return made


def _areas(cell: Cell, vectors: str) -> Areas:
    """Empty unless every seed has such vectors."""
    found = {seed: ((run.intrinsic or {}).get("senses") or {}).get(vectors) for seed, run in cell.runs.items()}
    return {seed: words for seed, words in found.items() if words} if all(found.values()) else {}


def _control(cell: Cell, controls: Mapping[str, Cell]) -> str | None:
    """The untrained method to compare with: one of the same method, else the translation model's encoder, else the first."""
    for wanted in (_method(cell), ENCODER):
        for name, control in controls.items():
            if _method(control) == wanted:
                return name
    return next(iter(controls), None)


def _method(cell: Cell) -> str | None:
    return cell.first.config["method"] if cell.first else None


def _minus(one: Areas, other: Areas) -> Array:
    """The difference of each seed and each word that both have, [S, W]."""
    seeds = [seed for seed in one if seed in other]
    words = [word for seed in seeds[:1] for word in one[seed] if all(word in of[at] for of in (one, other) for at in seeds)]
    return np.array([[one[seed][word] - other[seed][word] for word in words] for seed in seeds], dtype=np.float64)
