"""How large a difference between models is, and how sure one can be: seeds and sentences counted together.

A score varies with the training run (its seed) and with the test sentences; the two are crossed, since every run translates the
same sentences. The variance of a contrast is therefore the sum of two parts:

- the run part: the variance between seeds within a cell (one model, all its seeds), divided by the number of seeds. Three seeds
  say little about a variance, so cells lend each other strength: the variances are moderated towards a common value as in limma
  (Smyth 2004). A cell that is noisier than the others together (F test) keeps its own variance (Welch 1947). It still lends its
  variance to the others unless it is so by far, that is after Bonferroni over all cells. A calmer cell borrows, which is safe.
- the sentence part: the bootstrap variance of the contrast of seed-averaged scores (the same resample for all seeds and sides),
  less what single runs do with single sentences. That part is in the variance between seeds already, and counted twice it made
  intervals a fifth too wide (readers and cases: Dorfman, Berbaum & Metz 1992; Hillis 2007).

Both parts make one t interval with Welch-Satterthwaite degrees of freedom, and the p value comes from the same t. Equivalence
is two one-sided tests (Schuirmann 1987); several claims of one family are adjusted after Holm (1979). Test-set noise (s_sel)
and seed noise (s_opt) are also reported apart (Clark et al. 2011).

Deviation: limma's prior degrees of freedom are estimated from all cells on the same test set; with fewer than three of them the
variances are simply pooled.

Words: cell = the scores of one model, one a seed; contrast = weights of cells that sum to 0; freedom = degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, fdtrc, polygamma, stdtr, stdtrit

from translab.comparison.sufficient import Array

UNLIKE = 0.05
"""Level of the F test. A Brown-Forsythe test, which is robust, hardly ever rejects with three seeds (docs/statistics.md)."""

MINIMUM_SEEDS = 3
"""Below this many seeds, effects are shown and nothing is decided."""

POWER = 0.8
"""The chance with which the minimum detectable effect would be found."""

MOST_SEEDS = 1000
"""No more seeds than this are ever suggested."""


@dataclass(frozen=True)
class Variance:
    """The variance between seeds of one cell, and how well it is known."""

    value: float
    freedom: float
    own: bool
    """The cell keeps its own variance, since it is unlike the others."""


def run_variances(cells: Mapping[str, Array]) -> dict[str, Variance]:
    """The variance between seeds of every cell with at least two seeds: moderated, or its own where the cell is unlike others.

    Args:
        cells: name to its scores, one a seed.
    """
    repeated = {name: scores for name, scores in cells.items() if len(scores) > 1}
    own = {name: (float(np.var(scores, ddof=1)), len(scores) - 1.0) for name, scores in repeated.items()}
    alike = list(own)
    while len(alike) > 2:
        noisiest = max(alike, key=lambda name: own[name][0])
        if _p_noisier(noisiest, alike, own) >= UNLIKE / len(own):
            break
        alike.remove(noisiest)
    unlike = {name for name in own if name not in alike or _p_noisier(name, alike, own) < UNLIKE}
    variances = {name: Variance(*own[name], True) for name in unlike}
    if alike:
        values = np.array([own[name][0] for name in alike])
        freedom = np.array([own[name][1] for name in alike])
        prior, prior_freedom = _prior(values, freedom)
        if math.isinf(prior_freedom):
            moderated = np.full(len(values), prior)
        else:
            moderated = (prior_freedom * prior + freedom * values) / (prior_freedom + freedom)
        # Cells that borrow from each other cannot know more than all of them together.
        known = np.minimum(prior_freedom + freedom, freedom.sum())
        for name, value, degrees in zip(alike, moderated, known, strict=True):
            variances.setdefault(name, Variance(float(value), float(degrees), False))
    return variances


def _p_noisier(name: str, alike: Sequence[str], own: Mapping[str, tuple[float, float]]) -> float:
    """One-sided F test: is this cell noisier than the others of `alike` together?"""
    others = [own[other] for other in alike if other != name]
    freedom = sum(degrees for _, degrees in others)
    if not freedom:
        return 1.0
    pooled = sum(value * degrees for value, degrees in others) / freedom
    value, degrees = own[name]
    if pooled == 0:
        return float(value == 0)
    return float(fdtrc(degrees, freedom, value / pooled))


def _prior(variances: Array, freedom: Array) -> tuple[float, float]:
    """The variance that cells have in common, and how many degrees of freedom it is worth (limma's fitFDist)."""
    pooled = float((variances * freedom).sum() / freedom.sum())
    if len(variances) < MINIMUM_SEEDS or pooled == 0:
        return pooled, math.inf
    floored = np.maximum(variances, 1e-5 * np.median(variances[variances > 0]))
    logarithms = np.log(floored) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(np.var(logarithms, ddof=1) - polygamma(1, freedom / 2).mean())
    if excess <= 0:
        return pooled, math.inf
    prior_freedom = 2 * _inverse_trigamma(excess)
    prior = math.exp(float(logarithms.mean()) + float(digamma(prior_freedom / 2)) - math.log(prior_freedom / 2))
    return prior, prior_freedom


def _inverse_trigamma(value: float) -> float:
    """Newton's method as in limma; converges from below."""
    root = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, root))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, root))
        root += step
        if -step / root < 1e-8:
            break
    return root


@dataclass(frozen=True)
class Effect:
    """An estimated contrast and its uncertainty."""

    estimate: float
    seeds: int
    """The smallest number of seeds of any cell in the contrast."""
    run_variance: float
    run_freedom: float
    sentence_variance: float
    sentence_freedom: float
    """0 and infinity where the metric is not made of sentences (a loss)."""

    @property
    def standard_error(self) -> float:
        """Of both parts together."""
        return math.sqrt(self.run_variance + self.sentence_variance)

    @property
    def freedom(self) -> float:
        """Welch-Satterthwaite."""
        return _satterthwaite([(self.run_variance, self.run_freedom), (self.sentence_variance, self.sentence_freedom)])

    def interval(self, confidence: float) -> tuple[float, float]:
        """The t interval."""
        half = _quantile((1 + confidence) / 2, self.freedom) * self.standard_error
        return self.estimate - half, self.estimate + half

    def p(self, null: float = 0.0) -> float:
        """Two-sided p value of the hypothesis that the true contrast is `null`."""
        return 2 * min(self.p_above(null), self.p_below(null))

    def p_above(self, null: float) -> float:
        """One-sided p value against `null`, small when the contrast lies above it."""
        distance = null - self.estimate
        if self.standard_error == 0:
            return 0.5 if distance == 0 else float(distance > 0)
        return float(stdtr(self.freedom, distance / self.standard_error))

    def p_below(self, null: float) -> float:
        """One-sided p value against `null`, small when the contrast lies below it."""
        return 1.0 - self.p_above(null) if self.standard_error == 0 else self.mirrored().p_above(-null)

    def mirrored(self) -> Effect:
        """The contrast with its sides exchanged."""
        return Effect(
            -self.estimate, self.seeds, self.run_variance, self.run_freedom, self.sentence_variance, self.sentence_freedom
        )

    def p_equivalent(self, margin: float) -> float:
        """Two one-sided tests: small when the contrast lies between -margin and +margin."""
        return max(self.p_above(-margin), self.p_below(margin))

    def minimum_detectable(self, alpha: float) -> float:
        """The true contrast that a two-sided test at `alpha` would find with a chance of POWER; the estimate plays no part."""
        quantiles = _quantile(1 - alpha / 2, self.freedom) + _quantile(POWER, self.freedom)
        return quantiles * self.standard_error

    def planned(self, seeds: int) -> Effect:
        """The same contrast with another number of seeds, if variances are what they are now."""
        return Effect(
            self.estimate,
            seeds,
            self.run_variance * self.seeds / seeds,
            self.run_freedom * (seeds - 1) / (self.seeds - 1),
            self.sentence_variance,
            self.sentence_freedom,
        )

    def seeds_needed(self, target: float, alpha: float) -> int | None:
        """The seeds for each model with which `target` would be detectable; None where the test set is too small for it."""
        for seeds in range(MINIMUM_SEEDS, MOST_SEEDS + 1):
            if self.planned(seeds).minimum_detectable(alpha) <= target:
                return seeds
        return None


def effect(
    contrast: Mapping[str, float],
    cells: Mapping[str, Array],
    variances: Mapping[str, Variance],
    resampled: Mapping[str, Array] | None,
    sentences: int,
) -> Effect:
    """Estimate a contrast.

    Args:
        contrast: weight of each cell; a single cell with weight 1 gives the mean of that model.
        cells: name to its scores, one a seed.
        variances: from `run_variances` over all cells on the same test set.
        resampled: name to the scores of the same R resamples, [seeds, R]; None for metrics that are not made of sentences.
        sentences: M, how many sentences the test set has.
    """
    mean = sum(weight * float(np.mean(cells[name])) for name, weight in contrast.items())
    seeds = min(len(cells[name]) for name in contrast)
    parts = {name: weight**2 * variances[name].value / len(cells[name]) for name, weight in contrast.items()}
    shared = [name for name in contrast if not variances[name].own]
    terms = [(parts[name], variances[name].freedom) for name in contrast if variances[name].own]
    if shared:
        # Moderated variances are one estimate, not several independent ones: their degrees of freedom do not add up.
        terms.append((sum(parts[name] for name in shared), min(variances[name].freedom for name in shared)))
    run = sum(parts.values())
    if resampled is None:
        return Effect(mean, seeds, run, _satterthwaite(terms), 0.0, math.inf)
    total = sum(weight * resampled[name].mean(axis=0) for name, weight in contrast.items())
    twice = sum(weight**2 * _interaction(cells[name], resampled[name]) / len(cells[name]) for name, weight in contrast.items())
    sentence = max(0.0, float(np.var(total, ddof=1)) - twice)
    return Effect(mean, seeds, run, _satterthwaite(terms), sentence, sentences - 1)


def _interaction(scores: Array, resampled: Array) -> float:
    """The variance of what single runs do with single sentences: how unlike the seeds' scores move when sentences change."""
    return float(np.var(resampled - scores[:, None], axis=0, ddof=1).mean())


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def _satterthwaite(terms: Sequence[tuple[float, float]]) -> float:
    total = sum(variance for variance, _ in terms)
    spread = sum(variance**2 / freedom for variance, freedom in terms if variance > 0)
    return total**2 / spread if spread > 0 else math.inf


def _quantile(probability: float, freedom: float) -> float:
    # scipy's t quantile takes infinity for a number of degrees of freedom that it is not; 1e12 is the normal distribution.
    return float(stdtrit(min(freedom, 1e12), probability))
