"""The sentences that a claim is made of: those that one side translates rightly with every seed and the other with none.

On a probe the unit is the twin: two items, each answered rightly or not by every seed.

With S seeds an arm is right on a sentence in 0 to S of its runs. What changed most is where the weighted shares of right seeds
differ most; of equals, where the seeds of an arm give the same output most often, since what all seeds do belongs to the model.

Shapes: S seeds, M sentences or twins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.items import Probe
from translab.comparison.results import Run
from translab.comparison.sufficient import Array
from translab.comparison.testsets import TestSet

RIGHT = ("acceptance", "exact")
"""What says that an output is right, in order of preference."""

LEAST = 0.5
"""A smaller change of the share of right seeds is not shown."""


def changed(
    contrast: Mapping[str, float], runs: Mapping[str, Sequence[Run]], test_set: str, number: int
) -> dict[str, Any] | None:
    """The sentences on which a contrast's sides differ most.

    Args:
        contrast: weight of each arm.
        runs: the runs of each arm, one a seed.
        test_set: whose sentences.
        number: how many are shown in either direction.

    Returns:
        {metric, gained, lost, rows}: `gained` counts the sentences that the positive side gets right with every seed and the
        negative side with none, `lost` the reverse; None where an arm's translations were not kept.
    """
    tests = {name: [run.tests[test_set] for run in runs[name] if test_set in run.tests] for name in contrast}
    if any(not found or not all(test.hypotheses for test in found) for found in tests.values()):
        return None
    if len({test.digest for found in tests.values() for test in found}) > 1:
        return None
    first = next(iter(tests.values()))[0]
    metric = next(metric for metric in RIGHT if metric in first.counts)
    right = {name: np.stack([test.counts[metric][:, 0] for test in found]) for name, found in tests.items()}  # [S, M]
    change = _change(contrast, right)
    # What is not shown need not be ordered.
    agreed = {sentence: _agreement(tests, sentence) for sentence in np.flatnonzero(abs(change) >= LEAST).tolist()}
    order = sorted(agreed, key=lambda sentence: (-abs(change[sentence]), -agreed[sentence], sentence))
    return {
        "metric": metric,
        "gained": int((change > 1 - 1e-9).sum()),
        "lost": int((change < -1 + 1e-9).sum()),
        "rows": [
            {
                "index": sentence,
                "source": first.sources[sentence],
                "reference": first.references[sentence],
                "gained": bool(change[sentence] > 0),
                "outputs": [_output(name, tests[name], right[name][:, sentence], sentence) for name in contrast],
            }
            for sentence in _most(change, order, number)
        ],
    }


def twins(
    contrast: Mapping[str, float], runs: Mapping[str, Sequence[Run]], test_set: str, metric: str, number: int
) -> list[dict[str, Any]]:
    """The twins of a probe on which a contrast's sides differ most, those gained first; empty if it is no probe.

    Args:
        contrast: weight of each arm.
        runs: the runs of each arm, one a seed.
        test_set: the probe's.
        metric: what says that an item was answered rightly.
        number: how many are shown in either direction.
    """
    probes = {name: [run.tests[test_set] for run in runs[name] if test_set in run.tests] for name in contrast}
    first = next(iter(probes.values()))[:1]
    if not first or not isinstance(first[0], Probe) or metric not in first[0].counts:
        return []
    right = {name: np.stack([probe.counts[metric][:, 0] for probe in found]) for name, found in probes.items()}  # [S, M]
    change = _change(contrast, {name: table / 2 for name, table in right.items()})
    return [
        {
            "items": first[0].items[2 * twin : 2 * twin + 2],
            "gained": bool(change[twin] > 0),
            "arms": [
                {"name": name, "right": float(table[:, twin].sum()), "all": 2 * len(table)} for name, table in right.items()
            ],
        }
        for twin in _most(change, sorted(range(len(change)), key=lambda twin: (-abs(change[twin]), twin)), number)
    ]


def _change(contrast: Mapping[str, float], right: Mapping[str, Array]) -> Array:
    """The weighted shares of seeds that are right on each sentence, from -1 to 1: {name: [S, M]} to [M]."""
    scale = sum(weight for weight in contrast.values() if weight > 0)
    return np.sum([weight / scale * right[name].mean(axis=0) for name, weight in contrast.items()], axis=0)  # type: ignore[no-any-return]


def _most(change: Array, order: Sequence[int], number: int) -> list[int]:
    """The first of an order that were gained, then those that were lost."""
    return [place for sign in (1, -1) for place in [place for place in order if sign * change[place] >= LEAST][:number]]


def _agreement(tests: Mapping[str, Sequence[TestSet]], sentence: int) -> int:
    """How many runs give the typical output of their arm."""
    return sum(_typical(found, sentence)[1] for found in tests.values())


def _typical(found: Sequence[TestSet], sentence: int) -> tuple[str, int]:
    """The most frequent output of an arm, and how many seeds give it; of equals, that of the earlier seed."""
    return Counter(test.hypotheses[sentence] for test in found).most_common(1)[0]


def _output(name: str, found: Sequence[TestSet], right: Array, sentence: int) -> dict[str, Any]:
    text, seeds = _typical(found, sentence)
    giving = next(index for index, test in enumerate(found) if test.hypotheses[sentence] == text)
    errors = found[giving].errors
    return {
        "name": name,
        "text": text,
        "right": bool(right[giving]),
        "error": errors[sentence] if errors else None,
        "seeds": seeds,
        "right_seeds": int(right.sum()),
        "all_seeds": len(found),
    }
