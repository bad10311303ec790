"""Which kinds of errors moved between the arms of a claim: errors that the grammar names, counted seed by seed.

An output that is not accepted has one kind of error (wording.ERRORS). The share of a test set's outputs with a kind is a score
like any other: it varies with the seed and with the sentences, so that a contrast of shares has the variance of statistics.py,
seeds and resampled sentences together, the same resamples for all models. The p values of one claim's kinds are adjusted
together (Holm). An exact paired test over the sentences of single runs would be narrower and about these runs only.

Shapes: M sentences, K kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.evidence import Evidence, resampled
from translab.comparison.results import Grid
from translab.comparison.rounding import rounded
from translab.comparison.statistics import holm
from translab.comparison.testsets import TestSet

QUANTITY = "percent"
"""How shares of outputs are rounded."""


def gather(grid: Grid, test_set: str, number: int, seed: int) -> list[Evidence]:
    """Shares of outputs with each kind of error, as evidence whose metrics are the kinds; one piece a group of equal sentences.

    Args:
        grid: all results.
        test_set: whose outputs were diagnosed.
        number: R, how many resamples.
        seed: of the resampling.
    """
    tests = {name: [run.tests[test_set] for run in cell.runs.values()] for name, cell in grid.usable(test_set).items()}
    named = {name: results for name, results in tests.items() if all(test.errors for test in results)}
    kinds = sorted({kind for results in named.values() for test in results for kind in test.errors if kind is not None})
    return resampled({name: [_counted(test, kinds) for test in results] for name, results in named.items()}, number, seed)


def _counted(test: TestSet, kinds: Sequence[str]) -> TestSet:
    """The kinds of errors of a test set as metrics, each with counts [error, all] of a sentence: [M, 2]."""
    hits = np.array([[error == kind for kind in kinds] for error in test.errors], dtype=np.float64)  # [M, K]
    counts = {kind: np.stack([hits[:, index], np.ones(len(hits))], axis=1) for index, kind in enumerate(kinds)}
    return TestSet(test.digest, [], [], [], counts, {"sentences": len(hits)})


def moved(contrast: Mapping[str, float], evidence: Sequence[Evidence], confidence: float) -> list[dict[str, Any]]:
    """Each kind of error of a contrast's arms: its share in percent of all outputs, the difference, and whether it moved.

    Args:
        contrast: weight of each arm.
        evidence: from `gather`.
        confidence: level of the intervals; 1 minus it is that of the tests.

    Returns:
        one record a kind, the most frequent first; empty where the arms' outputs were not diagnosed.
    """
    piece = next((piece for piece in evidence if contrast.keys() <= piece.names), None)
    if piece is None:
        return []
    raw = {kind: {name: named[name].raw for name in contrast} for kind, named in piece.measurements.items()}
    means = {kind: {name: float(np.mean(scores)) for name, scores in arms.items()} for kind, arms in raw.items()}
    kinds = sorted((kind for kind in means if any(means[kind].values())), key=lambda kind: (-sum(means[kind].values()), kind))
    effects = {kind: found for kind in kinds if (found := piece.effect(contrast, kind)) is not None}
    adjusted = dict(zip(effects, holm([found.p() for found in effects.values()]), strict=True))
    records = []
    for kind in kinds:
        estimate = piece.estimate(contrast, kind)
        record: dict[str, Any] = {
            "kind": kind,
            "arms": {name: rounded(mean, QUANTITY) for name, mean in means[kind].items()},
            "estimate": rounded(estimate, QUANTITY),
            "interval": None,
            "p_adjusted": None,
            "word": "not decidable",
        }
        if kind in effects:
            found, alpha = effects[kind], 1 - confidence
            word = "more" if estimate > 0 else "fewer"
            if adjusted[kind] >= alpha:
                word = f"perhaps {word}" if found.p() < alpha else "no clear difference"
            record |= {
                "interval": [rounded(bound, QUANTITY) for bound in found.interval(confidence)],
                "p_adjusted": rounded(adjusted[kind], "p"),
                "word": word,
            }
        records.append(record)
    return records
