"""What a claim can find with its seeds, before any of its runs is trained: from how much scores vary elsewhere.

The noise of a metric on a test set is taken from runs that exist, those of a pilot (the base with ten seeds, say) or of an
earlier grid. A contrast with weights w of models with n seeds each then has the variance

    Σ w² · run / n  +  Σ w² / 2 · sentence

where `run` is the variance between seeds of one model and `sentence` that of the difference of two models over test sentences:
medians over all models, and over the differences from the base.
A pilot of one model knows nothing of the second part and takes it for 0: its minimum detectable effects are too small by that.
Observed effects play no part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from translab.comparison.looks import nominal
from translab.comparison.statistics import Effect
from translab.config import Claim

if TYPE_CHECKING:  # a plan from noise that is known needs no results, and none of what reads them
    from translab.comparison.evidence import Evidence

BASE = "base"
"""The model that others differ from."""


@dataclass(frozen=True)
class Noise:
    """How much a metric varies on one test set."""

    run_variance: float
    """Between seeds of one model."""
    run_freedom: float
    """Degrees of freedom with which that is known."""
    seeds: int
    """How many each model had."""
    sentence_variance: float
    """Of the difference of two models, over test sentences; 0 where only one model is known."""
    sentence_freedom: float


@dataclass(frozen=True)
class Planned:
    """What one part of a claim can find."""

    claim: str
    part: int
    """Its place in the claim."""
    seeds: int
    """At the last look."""
    minimum_detectable: float | None
    """The true contrast that would be found there with a chance of 80 %; None where nothing is known of the noise."""
    seeds_needed: int | None
    """So many let it find its margin; None where more seeds alone are not enough, or nothing is known."""

    @property
    def reachable(self) -> bool:
        """Whether the margin can be found at the last look."""
        return self.seeds_needed is not None and self.seeds_needed <= self.seeds


def noise(evidence: Evidence, metric: str) -> Noise | None:
    """How much a metric varies, from models that were trained; None below three seeds."""
    names = list(evidence.measurements.get(metric, {}))
    alone = [found for name in names if (found := evidence.effect({name: 1}, metric)) is not None]
    if not alone:
        return None
    against = BASE if BASE in names else names[0]
    pairs = [evidence.effect({name: 1, against: -1}, metric) for name in names if name != against]
    return Noise(
        median(found.run_variance * found.seeds for found in alone),
        median(found.run_freedom for found in alone),
        min(found.seeds for found in alone),
        median([found.sentence_variance for found in pairs if found is not None] or [0.0]),
        median([found.sentence_freedom for found in pairs if found is not None] or [math.inf]),
    )


def plan(claims: Sequence[Claim], noises: Mapping[tuple[str, str], Noise], alpha: float, corpus: str) -> list[Planned]:
    """Each part of each claim, in their order.

    Args:
        claims: checked claims.
        noises: (test set, metric) to the noise there.
        alpha: level of the tests, shared by the claims of a family.
        corpus: task B, whose noise this is; nothing is known of claims about another.
    """
    families = Counter(claim.family for claim in claims if claim.is_about(corpus))
    made = []
    for claim in claims:
        own = noises if claim.is_about(corpus) else {}
        for place, part in enumerate(claim.parts):
            found, seeds = own.get((part.test_set, part.metric)), claim.looks[-1]
            if found is None:
                made.append(Planned(claim.name, place, seeds, None, None))
                continue
            squares = sum(weight**2 for weight in part.contrast.values())
            known = Effect(
                0.0,
                found.seeds,
                squares * found.run_variance / found.seeds,
                found.run_freedom,
                squares / 2 * found.sentence_variance,
                found.sentence_freedom,
            )
            level = nominal(alpha / families[claim.family], claim.looks)[-1]
            detectable = known.planned(seeds).minimum_detectable(level)
            made.append(Planned(claim.name, place, seeds, detectable, known.seeds_needed(part.margin, level)))
    return made
