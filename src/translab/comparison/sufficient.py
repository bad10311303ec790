"""Corpus scores from per-sentence sufficient statistics, one set of sentences or thousands of resampled ones at a time.

BLEU (Papineni et al. 2002), chrF2 (Popović 2015) and TER (Snover et al. 2006) of a corpus depend on a handful of counts that
add up over sentences. Whoever keeps the counts of each sentence can score any subset or resample without translating again. The
counts are sacreBLEU's own; the formulas below are sacreBLEU's (`smooth_method="exp"`; chrF with β = 2, character order 6),
written for arrays. A single corpus is scored by sacreBLEU itself, so that the reported number is its number.

Shapes: M sentences, K counts of a metric, R resamples. Counts are [M, K], their sums [..., K], scores [...].

    metric           counts of a sentence
    bleu       (10)  system length, reference length, correct 1- to 4-grams, total 1- to 4-grams
    chrf       (18)  for each order 1 to 6: n-grams in the hypothesis, in the reference, in both
    ter         (2)  edits, reference length
    exact       (2)  1 if the hypothesis equals the reference, 1
    acceptance  (2)  1 if the hypothesis is one of the source's translations, 1
    choice      (2)  1 if the right translation is more probable than the wrong one (1/2 if equally so), 1
    rare        (2)  rare types of the reference that were found, all of them

A form with two senses is a unit as well: its AUC or cosine, 1, whose mean is the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from translab.comparison.metrics import METRICS, SENSES

Array = NDArray[np.float64]

COUNTS = {"bleu": 10, "chrf": 18, "ter": 2, "exact": 2, "acceptance": 2, "choice": 2, "rare": 2}
"""How many counts a sentence has, for each metric that can be resampled."""

MEANS = frozenset(name for name, metric in METRICS.items() if SENSES in metric.where)
"""Metrics that are the mean of a value of each unit, in no percent."""

CHUNK = 512
"""Resamples drawn at a time: bounds memory to CHUNK x sentences numbers."""


def score(metric: str, sums: Array) -> float:
    """The score of one corpus from its summed counts, as sacreBLEU computes it.

    Args:
        metric: a key of COUNTS; all are in percent, as sacreBLEU does.
        sums: [K] counts, summed over sentences.
    """
    if metric == "bleu":
        counts = [int(count) for count in sums]
        return float(BLEU.compute_bleu(counts[2:6], counts[6:], counts[0], counts[1], smooth_method="exp").score)
    if metric == "chrf":
        return float(CHRF()._compute_f_score([int(count) for count in sums]))
    return float(scores(metric, sums))


def scores(metric: str, sums: Array) -> Array:
    """The scores of many corpora at once: sums [..., K] to scores [...]."""
    if metric == "bleu":
        return _bleu(sums)
    if metric == "chrf":
        return _chrf(sums)
    if metric in MEANS:
        mean: Array = sums[..., 0] / sums[..., 1]
        return mean
    return _ratio(sums)


def floor(metric: str, counts: Array) -> Array:
    """The counts of a model that knows nothing, given those of another on the same sentences: [M, K] to [M, K].

    It writes nothing, and of two translations it takes neither for more probable.
    """
    lowest = np.zeros_like(counts)
    if metric == "bleu":
        lowest[:, 1] = counts[:, 1]
    elif metric == "chrf":
        lowest[:, 1::3] = counts[:, 1::3]
    else:
        lowest[:, 1] = counts[:, 1]
        # Every word of the reference is missing: an edit each.
        lowest[:, 0] = {"ter": 1.0, "choice": 0.5}.get(metric, 0.0) * counts[:, 1]
    return lowest


def resamples(counts: Array, number: int, seed: int) -> Iterator[Array]:
    """Summed counts of bootstrap resamples of the sentences.

    The sentences drawn depend on their number and the seed alone. Counts of several models, seeds and metrics that stand side
    by side in one array are therefore resampled together, which is what makes their scores comparable (paired sentences).

    Args:
        counts: [M, K].
        number: R, how many resamples.
        seed: of the generator.

    Yields:
        chunks [r, K] that add up to R rows.
    """
    for times in _draws(len(counts), number, seed):
        # Whole numbers below 2^53 are exact in floating point, in any order of summation.
        yield times @ counts


@lru_cache(maxsize=4)
def _draws(sentences: int, number: int, seed: int) -> list[Array]:
    """How often each sentence is drawn, in chunks [r, M]; test sets of one size share the draws."""
    generator = np.random.Generator(np.random.PCG64(seed))
    uniform = np.full(sentences, 1 / sentences)
    sizes = [min(CHUNK, number - start) for start in range(0, number, CHUNK)]
    return [generator.multinomial(sentences, uniform, size=size).astype(np.float64) for size in sizes]


def _bleu(sums: Array) -> Array:
    hypothesis, reference = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2:6], sums[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        brevity = np.where(hypothesis < reference, np.exp(1 - reference / hypothesis), 1.0)
        # An order without a match counts as 1/2, 1/4, ... of a match: the power grows with each such order.
        halvings = 2.0 ** np.cumsum(correct == 0, axis=-1)
        precisions = np.where(correct > 0, correct, 1 / halvings) / total
        logarithms = np.log(precisions).mean(axis=-1)
    defined = (correct.sum(axis=-1) > 0) & (total > 0).all(axis=-1)
    return np.where(defined, 100 * brevity * np.exp(np.where(defined, logarithms, 0.0)), 0.0)


def _chrf(sums: Array) -> Array:
    triples = sums.reshape(*sums.shape[:-1], -1, 3)
    hypothesis, reference, both = triples[..., 0], triples[..., 1], triples[..., 2]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(counted, both / hypothesis, 0.0).sum(axis=-1) / orders
        recall = np.where(counted, both / reference, 0.0).sum(axis=-1) / orders
        fscore = 5 * precision * recall / (4 * precision + recall)
    return np.where(precision + recall > 0, 100 * fscore, 0.0)


def _ratio(sums: Array) -> Array:
    numerator, denominator = sums[..., 0], sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(denominator > 0, numerator / denominator, np.where(numerator > 0, 1.0, 0.0))
    return 100 * ratio
