"""What a method of pretraining learned, measured on task A before anything is handed on: means over seeds with intervals.

Values of one method differ between seeds alone, since all methods are measured on the same sentences, gaps and words. Their
interval is the t interval over seeds, with the method's own variance: methods are too unlike each other to lend one another
strength, and counted methods, which no seed changes, have none.

Sense separation varies in two directions: between seeds, and between the words that happen to have two senses, which are a
sample of all such words. Seeds and words are crossed (every seed is measured on every word), so the variance of the mean AUC is
the sum of that of the seeds' means over S and that of the words' means over W, and the t interval has Welch-Satterthwaite
degrees of freedom. What belongs to single seeds of single words is counted in both, which widens the interval a little. A
bootstrap over both would promise too much with three seeds.

Shapes: S seeds, W words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.results import Cell
from translab.comparison.rounding import rounded
from translab.comparison.statistics import MINIMUM_SEEDS, Effect
from translab.comparison.sufficient import Array

CHANCE = 0.5
"""The AUC of static vectors, which are the same in both senses."""

SENSES = ("contextual", "context_mean", "static")
"""Vectors in their sentence; the mean of the static vectors around the word; the word's one static vector."""

MEASURES: dict[str, dict[str, tuple[str, float]]] = {
    "language_model": {"perplexity": ("perplexity", 1), "bits_per_character": ("bits", 1)},
    "cloze": {"accuracy": ("percent", 100)},
    "classes": {"auc": ("auc", 1)},
    "sentences": {
        "precision_at_1": ("percent", 100),
        "mrr": ("auc", 1),
        "alignment": ("ratio", 1),
        "uniformity": ("ratio", 1),
    },
    "topics": {"frozen": ("percent", 100), "tuned": ("percent", 100)},
}
"""Measure to its figures: how each is rounded, and what it is multiplied by."""

BOUNDS = {
    "percent": (0.0, 100.0),
    "auc": (0.0, 1.0),
    "perplexity": (1.0, math.inf),
    "bits": (0.0, math.inf),
    "nats": (0.0, math.inf),
}
"""Intervals end where the quantity does."""


def record(cell: Cell, confidence: float) -> dict[str, Any] | None:
    """The key `intrinsic` of a record in `reports/pretraining.json`; None where nothing was measured.

    Args:
        cell: one method with all its seeds.
        confidence: level of the intervals.
    """
    found = [run.intrinsic for run in cell.runs.values() if run.intrinsic is not None]
    if cell.problems or not found:
        return None
    first = found[0]
    made: dict[str, Any] = {"side": first["side"]}
    for measure, figures in MEASURES.items():
        values = [seed[measure] for seed in found if seed.get(measure)]
        made[measure] = None
        if len(values) == len(found):
            rest = {key: value for key, value in values[0].items() if key not in figures}
            made[measure] = rest | {
                key: over_seeds([value.get(key) for value in values], *figures[key], confidence) for key in figures
            }
    senses = [seed["senses"] for seed in found if seed.get("senses")]
    made["senses"] = None
    if len(senses) == len(found):
        made["senses"] = {key: over_words([seed.get(key) for seed in senses], confidence) for key in SENSES}
    made["neighbours"] = first.get("neighbours")
    return made


def over_seeds(values: Sequence[float | None], quantity: str, factor: float, confidence: float) -> dict[str, Any] | None:
    """Mean, t interval over seeds (None below three) and each seed; None where a seed has no value.

    Args:
        values: one a seed.
        quantity: how they are rounded.
        factor: what they are multiplied by.
        confidence: level of the interval.
    """
    if not values or any(value is None for value in values):
        return None
    raw = factor * np.array(values, dtype=np.float64)
    seeds = len(raw)
    bounds = None
    if seeds >= MINIMUM_SEEDS:
        found = Effect(float(raw.mean()), seeds, float(np.var(raw, ddof=1)) / seeds, seeds - 1, 0.0, math.inf)
        bounds = _bounds(found, quantity, confidence)
    return {"mean": rounded(float(raw.mean()), quantity), "interval": bounds, "raw": [rounded(float(v), quantity) for v in raw]}


def over_words(values: Sequence[Mapping[str, float] | None], confidence: float) -> dict[str, Any] | None:
    """Mean AUC, its interval over words and seeds (None below three seeds), each seed's mean and each word's.

    Args:
        values: word to AUC, one a seed; None where the method has no such vectors.
        confidence: level of the interval.
    """
    if not values or any(not seed for seed in values):
        return None
    words = [word for word in values[0] or {} if all(word in (seed or {}) for seed in values)]
    table = np.array([[(seed or {})[word] for word in words] for seed in values], dtype=np.float64)  # [S, W]
    found = crossed(table)
    return {
        "mean": rounded(float(table.mean()), "auc"),
        "interval": None if found is None else _bounds(found, "auc", confidence),
        "raw": [rounded(float(value), "auc") for value in table.mean(axis=1)],
        "words": {word: rounded(float(value), "auc") for word, value in zip(words, table.mean(axis=0), strict=True)},
    }


def crossed(table: Array) -> Effect | None:
    """The mean of a table [S, W] with the variance of its seeds and of its words; None below three seeds or two words."""
    seeds, words = table.shape
    if seeds < MINIMUM_SEEDS or words < 2:
        return None
    run, word = (float(np.var(table.mean(axis=axis), ddof=1)) for axis in (1, 0))
    return Effect(float(table.mean()), seeds, run / seeds, seeds - 1, word / words, words - 1)


def _bounds(found: Effect, quantity: str, confidence: float) -> list[float]:
    low, high = found.interval(confidence)
    least, most = BOUNDS.get(quantity, (-math.inf, math.inf))
    return [rounded(max(low, least), quantity) or 0.0, rounded(min(high, most), quantity) or 0.0]
