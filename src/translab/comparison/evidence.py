"""The scores of all models on one test set, resampled together, ready for contrasts.

Models are comparable when they translated the same sentences: one `Evidence` holds one task's models on one test set. Every run
is resampled with the same draws of sentences, so that differences between models are paired by sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from translab.comparison.results import Cell, Grid
from translab.comparison.statistics import MINIMUM_SEEDS, Effect, Variance, effect, run_variances
from translab.comparison.sufficient import Array, resamples, scores

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
        resampled: dict[str, Array] = {
            name: measurement.resampled.mean(axis=0)
            for name, measurement in measured.items()
            if measurement.resampled is not None
        }
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
    groups: dict[str, list[Cell]] = {}
    for cell in grid.usable(test_set).values():
        assert cell.first is not None
        # Methods that translate nothing have a loss alone, each of another kind: none lends another its variance.
        groups.setdefault(cell.first.tests[test_set].digest or cell.name, []).append(cell)
    return [_gather(cells, test_set, number, seed) for cells in groups.values()]


def _gather(cells: Sequence[Cell], test_set: str, number: int, seed: int) -> Evidence:
    runs = [(cell.name, run.tests[test_set]) for cell in cells for run in cell.runs.values()]
    first = runs[0][1]
    metrics = list(first.counts)
    measurements: dict[str, dict[str, Measurement]] = {metric: {} for metric in first.scores}
    resampled: dict[str, Array] = {}
    if metrics:
        widths = [first.counts[metric].shape[1] for metric in metrics]
        everything = np.concatenate([test.counts[metric] for _, test in runs for metric in metrics], axis=1)
        chunks: dict[str, list[Array]] = {metric: [] for metric in metrics}
        for sums in resamples(everything, number, seed):
            table = sums.reshape(len(sums), len(runs), sum(widths))
            for metric, part in zip(metrics, np.split(table, np.cumsum(widths)[:-1], axis=2), strict=True):
                chunks[metric].append(scores(metric, part))
        resampled = {metric: np.concatenate(parts).T for metric, parts in chunks.items()}
    made = [test.scores for _, test in runs]
    for cell in cells:
        rows = [index for index, (name, _) in enumerate(runs) if name == cell.name]
        for metric, named in measurements.items():
            draws = resampled[metric][rows] if metric in resampled else None
            named[cell.name] = Measurement([made[row][metric] for row in rows], draws)
    return Evidence(measurements, len(first.counts[metrics[0]]) if metrics else int(first.figures["sentences"]))
