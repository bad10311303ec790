"""The scores of all models on one test set, resampled together, ready for contrasts.

Models are comparable when they translated the same sentences: one `Evidence` holds one task's models on one test set. Every run
is resampled with the same draws of sentences, so that differences between models are paired by sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from translab.comparison.results import Grid
from translab.comparison.statistics import MINIMUM_SEEDS, Effect, Variance, effect, run_variances
from translab.comparison.sufficient import Array, resamples, scores
from translab.comparison.testsets import TestSet

PRIMARY = ("choice", "acceptance", "bleu")
"""What decides where it is measured, in this order: the forced choice of a probe, where chance is known; acceptance where a
grammar knows every valid translation; else BLEU. The other metrics stand beside it."""


@dataclass(frozen=True)
class Measurement:
    """One metric of one model on one test set."""

    raw: list[float]
    """One score a seed."""
    resampled: Array | None
    """[seeds, R] scores of the same resamples; None for a loss."""

    @property
    def seed_deviation(self) -> float | None:
        """s_opt: the standard deviation over seeds."""
        return float(np.std(self.raw, ddof=1)) if len(self.raw) > 1 else None

    @property
    def sentence_deviation(self) -> float | None:
        """s_sel: the standard deviation over resampled test sets, averaged over seeds."""
        if self.resampled is None:
            return None
        return math.sqrt(float(np.var(self.resampled, axis=1, ddof=1).mean()))


class Evidence:
    """Measurements of every comparable model, and the contrasts between them."""

    def __init__(self, measurements: Mapping[str, Mapping[str, Measurement]], sentences: int) -> None:
        """
        Args:
            measurements: metric to name to measurement.
            sentences: M, how many sentences (twins of a probe) the test set has.
        """
        self.measurements = measurements
        self.sentences = sentences
        self._cells: dict[str, dict[str, Array]] = {
            metric: {name: np.array(measurement.raw) for name, measurement in named.items()}
            for metric, named in measurements.items()
        }
        self._variances: dict[str, dict[str, Variance]] = {
            metric: run_variances(cells) for metric, cells in self._cells.items()
        }

    @property
    def names(self) -> set[str]:
        """The models that were measured."""
        return {name for named in self.measurements.values() for name in named}

    def estimate(self, contrast: Mapping[str, float], metric: str) -> float:
        """The contrast of the means over seeds."""
        return sum(weight * float(self._cells[metric][name].mean()) for name, weight in contrast.items())

    def effect(self, contrast: Mapping[str, float], metric: str) -> Effect | None:
        """The contrast with its uncertainty; None where a model has fewer than MINIMUM_SEEDS seeds."""
        measured = {name: self.measurements[metric][name] for name in contrast}
        if min(len(measurement.raw) for measurement in measured.values()) < MINIMUM_SEEDS:
            return None
        resampled = {name: found.resampled for name, found in measured.items() if found.resampled is not None}
        return effect(contrast, self._cells[metric], self._variances[metric], resampled or None, self.sentences)


def primary(evidence: Sequence[Evidence], names: Sequence[str]) -> str:
    """The metric that decides between models on a test set."""
    having = [piece.measurements for piece in evidence if not piece.names.isdisjoint(names)]
    return next((metric for metric in PRIMARY if any(metric in measured for measured in having)), PRIMARY[-1])


def gather(grid: Grid, test_set: str, number: int, seed: int) -> list[Evidence]:
    """The evidence on a test set, one piece for each group of models that translated the same sentences.

    Args:
        grid: all results.
        test_set: name of the test set, of a probe or of a part of one.
        number: R, how many resamples.
        seed: of the resampling.
    """
    return resampled(
        {name: [run.tests[test_set] for run in cell.runs.values()] for name, cell in grid.usable(test_set).items()},
        number,
        seed,
    )


def resampled(tests: Mapping[str, Sequence[TestSet]], number: int, seed: int) -> list[Evidence]:
    """The evidence of models' results, one piece for each group of models that were measured on the same sentences.

    Args:
        tests: name to its results, one a seed.
        number: R, how many resamples.
        seed: of the resampling.
    """
    groups: dict[str, dict[str, Sequence[TestSet]]] = {}
    for name, results in tests.items():
        # Methods that translate nothing have a loss alone, each of another kind: none lends another its variance.
        groups.setdefault(results[0].digest or name, {})[name] = results
    return [_gather(group, number, seed) for group in groups.values()]


def _gather(tests: Mapping[str, Sequence[TestSet]], number: int, seed: int) -> Evidence:
    runs = [(name, test) for name, results in tests.items() for test in results]
    first = runs[0][1]
    metrics = list(first.counts)
    measurements: dict[str, dict[str, Measurement]] = {metric: {} for metric in first.scores}
    draws: dict[str, Array] = {}
    if metrics:
        widths = [first.counts[metric].shape[1] for metric in metrics]
        everything = np.concatenate([test.counts[metric] for _, test in runs for metric in metrics], axis=1)
        chunks: dict[str, list[Array]] = {metric: [] for metric in metrics}
        for sums in resamples(everything, number, seed):
            table = sums.reshape(len(sums), len(runs), sum(widths))
            for metric, part in zip(metrics, np.split(table, np.cumsum(widths)[:-1], axis=2), strict=True):
                chunks[metric].append(scores(metric, part))
        draws = {metric: np.concatenate(parts).T for metric, parts in chunks.items()}
    made = [test.scores for _, test in runs]
    for name in tests:
        rows = [index for index, (other, _) in enumerate(runs) if other == name]
        for metric, named in measurements.items():
            drawn = draws[metric][rows] if metric in draws else None
            named[name] = Measurement([made[row][metric] for row in rows], drawn)
    return Evidence(measurements, len(first.counts[metrics[0]]) if metrics else int(first.figures["sentences"]))
