"""How often intervals hold the truth: ours, and beside them three bootstraps that treat seeds and sentences otherwise.

Every repetition draws new seeds and new sentences, reads them as the comparison does (`gather`), and asks for contrasts between
disjoint pairs of models. The bootstraps are percentile intervals of the same contrasts:

    sentences   sentences are drawn again, the runs stay what they are (Koehn 2004)
    nested      runs are drawn again, and for each run drawn its own sentences
    crossed     runs are drawn again, and one set of sentences for all of them (Owen 2007)

Shapes: S seeds, R resamples.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.worlds import NOISES, grid, level_of, truth
from translab.comparison.evidence import Evidence, gather
from translab.comparison.sufficient import Array
from translab.comparison.testsets import TEST_SET

CONFIDENCE = 0.95
RESAMPLES = 300
"""R. Enough for the variance that our intervals need (its error is 8 %); `params.yaml` has more."""

NOISIER = 3.0
"""In grids of unequal variances, the factor on one model's deviation between seeds."""

METHODS = ("translab", "sentences", "nested", "crossed")


@dataclass(frozen=True)
class Setting:
    """A kind of grid."""

    noise: str
    """A key of NOISES."""
    seeds: int
    cells: int
    unequal: bool = False
    """One model is noisier than the others."""
    metric: str = "acceptance"

    @property
    def about(self) -> dict[str, object]:
        """The setting in the results."""
        return {
            "noise": self.noise,
            "seeds": self.seeds,
            "cells": self.cells,
            "variances": "one noisier" if self.unequal else "equal",
            "metric": self.metric,
        }


def coverage(setting: Setting, contrasts: int, number: int) -> dict[str, object]:
    """The share of intervals that hold the true contrast, for each method, in percent.

    Args:
        setting: of the grid; where one model is noisier, its contrasts alone are counted.
        contrasts: how many at least.
        number: of the setting: other numbers draw other worlds.
    """
    generator = np.random.default_rng([1, number])
    noise = NOISES[setting.noise]
    names = [f"model-{index}" for index in range(setting.cells)]
    # BLEU's true scores are not known: its models are all alike, and every true contrast is 0.
    scores = np.linspace(55, 70, setting.cells) if setting.metric == "acceptance" else np.full(setting.cells, 60.0)
    levels = {name: level_of(score, noise) for name, score in zip(names, generator.permutation(scores), strict=True)}
    noisier = {names[0]: NOISIER} if setting.unequal else {}
    true = {name: truth(level, noise, noisier.get(name, 1.0)) for name, level in levels.items()}
    pairs = list(zip(names[::2], names[1::2], strict=False))[: 1 if setting.unequal else None]
    held: dict[str, int] = defaultdict(int)
    widths: dict[str, float] = defaultdict(float)
    repetitions = math.ceil(contrasts / len(pairs))
    for _ in range(repetitions):
        world = grid(levels, noise, setting.seeds, generator, noisier, setting.metric)
        (evidence,) = gather(world, TEST_SET, RESAMPLES, 1)
        for first, second in pairs:
            for method, (low, high) in _intervals(evidence, setting.metric, first, second, generator):
                held[method] += low <= true[first] - true[second] <= high
                widths[method] += high - low
    counted = repetitions * len(pairs)
    return setting.about | {
        "contrasts": counted,
        "coverage": {method: round(100 * held[method] / counted, 2) for method in METHODS},
        "width": {method: round(widths[method] / counted, 3) for method in METHODS},
    }


def _intervals(
    evidence: Evidence, metric: str, first: str, second: str, generator: np.random.Generator
) -> Iterator[tuple[str, tuple[float, float]]]:
    found = evidence.effect({first: 1, second: -1}, metric)
    assert found is not None
    yield "translab", found.interval(CONFIDENCE)
    sides = [evidence.measurements[metric][name].resampled for name in (first, second)]
    for method in METHODS[1:]:
        above, below = (_redrawn(side, method, generator) for side in sides if side is not None)
        low, high = np.quantile(above - below, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        yield method, (float(low), float(high))


def _redrawn(resampled: Array, method: str, generator: np.random.Generator) -> Array:
    """Bootstrap means of one model: [R], from the scores of its runs on resampled sentences [S, R]."""
    seeds, number = resampled.shape
    if method == "sentences":
        return np.asarray(resampled.mean(axis=0))
    runs = generator.integers(0, seeds, (seeds, number))
    draws = np.arange(number) if method == "crossed" else generator.integers(0, number, (seeds, number))
    return np.asarray(resampled[runs, draws].mean(axis=0))
