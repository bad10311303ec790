"""The arms of a claim in buckets of their test set: by sentence length, by a word's frequency in training, by position.

Every figure is a mean over seeds; what a contrast makes of the arms' means stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.results import Run
from translab.comparison.rounding import rounded
from translab.comparison.sufficient import score


def lengths(
    contrast: Mapping[str, float], runs: Mapping[str, Sequence[Run]], test_set: str, metric: str | None
) -> dict[str, Any] | None:
    """The arms' scores in each bucket of sentence length, in source words: means over seeds, and the contrast.

    Args:
        contrast: weight of each arm.
        runs: the runs of each arm, one a seed.
        test_set: whose sentences.
        metric: the claim's; where it is not made of sentences, or None, the one that decides on the test set.
    """
    tests = {name: [run.tests[test_set] for run in found if test_set in run.tests] for name, found in runs.items()}
    if any(not found or not all(test.sources and test.counts for test in found) for found in tests.values()):
        return None
    first = next(iter(tests.values()))[0]
    chosen = metric if metric in first.counts else next(kind for kind in ("acceptance", "bleu") if kind in first.counts)
    words = np.array([len(source.split()) for source in first.sources])
    buckets = []
    for bucket in first.figures["by_length"]:
        inside = (words >= bucket["lower"]) & (words <= (bucket["upper"] or words.max()))
        means = {
            name: float(np.mean([score(chosen, test.counts[chosen][inside].sum(axis=0)) for test in found]))
            for name, found in tests.items()
        }
        buckets.append({key: bucket[key] for key in ("lower", "upper", "sentences")} | _weighed(contrast, means, chosen))
    return {"metric": chosen, "buckets": buckets}


def frequencies(contrast: Mapping[str, float], runs: Mapping[str, Sequence[Run]], test_set: str) -> list[dict[str, Any]] | None:
    """The share of the reference's words that the arms' outputs hold, by how often training showed them; None if not kept.

    Args:
        contrast: weight of each arm.
        runs: the runs of each arm, one a seed.
        test_set: whose references.
    """
    found = _kept(runs, test_set, "by_frequency")
    if found is None:
        return None
    buckets = []
    for number, bucket in enumerate(next(iter(found.values()))[0]):
        means = {
            name: float(np.mean([100 * kept[number]["found"] / kept[number]["all"] for kept in made]))
            for name, made in found.items()
        }
        buckets.append({key: bucket[key] for key in ("lower", "upper", "all")} | _weighed(contrast, means, "percent"))
    return buckets


def _kept(runs: Mapping[str, Sequence[Run]], test_set: str, key: str) -> dict[str, list[list[dict[str, Any]]]] | None:
    """What scores.json says of a test set under a key, for each arm and seed; None where one lacks it."""
    found: dict[str, list[Any]] = {
        name: [run.tests[test_set].figures.get(key) for run in made if test_set in run.tests] for name, made in runs.items()
    }
    return None if any(not kept or None in kept for kept in found.values()) else found


def _weighed(contrast: Mapping[str, float], means: Mapping[str, float], quantity: str) -> dict[str, Any]:
    return {
        "arms": {name: rounded(mean, quantity) for name, mean in means.items()},
        "estimate": rounded(sum(weight * means[name] for name, weight in contrast.items()), quantity),
    }


def positions(runs: Mapping[str, Sequence[Run]], test_set: str) -> dict[str, list[dict[str, Any]]] | None:
    """Name to the accuracy at each position of the target, with the reference's words before it and with the arm's own.

    It shows what a decoder learned that could see the answer, and is None unless one arm is such a decoder.

    Args:
        runs: the runs of each arm, one a seed.
        test_set: whose references.
    """
    if all(found[0].config["values"]["model"].get("causal", True) for found in runs.values()):
        return None
    kept = _kept(runs, test_set, "by_position")
    if kept is None:
        return None
    return {
        name: [
            {
                "position": rows[0]["position"],
                **{key: rounded(100 * float(np.mean([row[key] for row in rows])), "percent") for key in ("forced", "free")},
            }
            for rows in zip(*found, strict=True)
        ]
        for name, found in kept.items()
    }
