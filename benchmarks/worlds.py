"""Made-up grids whose true scores are known: models, seeds and sentences, as the comparison reads them.

A run accepts a sentence when its latent value is above 0 (a probit model with crossed random effects):

    z[m, s, i] = level[m] + seed[m, s] + difficulty[i] + taste[m, i] + noise[m, s, i]

`difficulty` is shared by all models, `taste` is what one model finds hard and another does not, and `noise` (deviation 1) is
what only this run does with this sentence. A model's true score is the mean over all seeds and all sentences that could have
been drawn. BLEU's counts come from the same latent values: the share of right words of a translation rises with it, and each
n-gram is right when its words are. Its true scores are not known, but models of one distribution differ by 0.

Shapes: C models, S seeds, M sentences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from translab.comparison.results import Cell, Grid, Run
from translab.comparison.sufficient import Array
from translab.comparison.testsets import TEST_SET, TestSet

DIFFICULTY = 2.2
"""Deviation of `difficulty`. With it 0.4 of the variance of acceptance over sentences is `noise`, as in the core grid."""

SENTENCES = 300
"""M. The core grid has 1,000; fewer make the part of the sentences larger, not the intervals wrong."""

FAILING, FALL = 0.2, 1.5
"""Bimodal seeds: the chance that a seed fails, and how far its latent value then falls (about 20 points of acceptance)."""


@dataclass(frozen=True)
class Noise:
    """How much seeds and sentences vary."""

    seed: float
    """Deviation of `seed`; 0.06 is about one point of acceptance."""
    taste: float
    """Deviation of `taste`."""
    bimodal: bool = False
    """A share of the seeds fails."""


NOISES = {
    "negligible": Noise(0.0, 1.0),
    "as measured": Noise(0.06, 0.2),
    "dominant": Noise(0.4, 0.2),
    "bimodal": Noise(0.06, 0.2, bimodal=True),
}
"""Seed noise in words: none beside that of the sentences; as in the core grid; far more than that of the sentences."""


def truth(level: float, noise: Noise, noisier: float = 1.0) -> float:
    """The true acceptance in percent of a model whose deviation between seeds is `noisier` times that of `noise`."""
    spread = math.sqrt(1 + DIFFICULTY**2 + noise.taste**2 + (noisier * noise.seed) ** 2)
    share = float(ndtr(level / spread))
    if noise.bimodal:
        share = (1 - FAILING) * share + FAILING * float(ndtr((level - FALL) / spread))
    return 100 * share


def level_of(score: float, noise: Noise) -> float:
    """The level with which a model's true acceptance is `score` percent (bisection; `truth` rises with the level)."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if truth(middle, noise) < score else (low, middle)
    return low


def grid(
    levels: Mapping[str, float],
    noise: Noise,
    seeds: int,
    generator: np.random.Generator,
    noisier: Mapping[str, float] | None = None,
    metric: str = "acceptance",
) -> Grid:
    """All runs of a grid on one test set.

    Args:
        levels: name of each model to its level.
        noise: of seeds and sentences.
        seeds: S.
        generator: of everything that is drawn.
        noisier: name to the factor on its deviation between seeds; 1 for all others.
        metric: `acceptance` or `bleu`.
    """
    difficulty = generator.normal(0, DIFFICULTY, SENTENCES)
    lengths = generator.integers(4, 16, SENTENCES)  # words of the references
    cells = {}
    for name, level in levels.items():
        shift = generator.normal(0, noise.seed * (noisier or {}).get(name, 1.0), seeds)
        if noise.bimodal:
            shift -= FALL * (generator.random(seeds) < FAILING)
        common = level + difficulty + generator.normal(0, noise.taste, SENTENCES)
        latent = common + shift[:, None] + generator.standard_normal((seeds, SENTENCES))  # [S, M]
        counts = _acceptance(latent) if metric == "acceptance" else _bleu(latent, lengths, generator)
        tests = [TestSet("one", [], [], [], {metric: rows}, {"sentences": SENTENCES}) for rows in counts]
        cells[name] = Cell(name, "ablate", {seed: _run(name, seed, test) for seed, test in enumerate(tests, start=1)})
    return Grid(cells, list(range(1, seeds + 1)))


def _run(name: str, seed: int, test: TestSet) -> Run:
    return Run(name, seed, {}, {}, [], {TEST_SET: test}, [], [], None, [])


def _acceptance(latent: Array) -> Array:
    """[right, all] of each sentence: [S, M, 2]."""
    return np.stack([latent > 0, np.ones(latent.shape)], axis=-1).astype(np.float64)


def _bleu(latent: Array, lengths: NDArray[np.int64], generator: np.random.Generator) -> Array:
    """BLEU's counts of each sentence: [S, M, 10]."""
    written = np.maximum(lengths + generator.integers(-1, 2, latent.shape), 1)
    right = ndtr(1 + latent / 2)
    totals = [np.maximum(written - order, 0) for order in range(4)]
    correct = [generator.binomial(total, right ** (order + 1)) for order, total in enumerate(totals)]
    given = np.broadcast_to(lengths, latent.shape)
    return np.stack([written, given, *correct, *totals], axis=-1).astype(np.float64)
