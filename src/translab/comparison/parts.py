"""One comparison of a claim: its effect and the p values that speak for and against it.

    superior, trend   for / against: the contrast differs from 0, towards the claimed direction / the other way (two-sided p)
    no-worse          for / against: it lies above / below minus the margin, the claimed direction being up (two-sided p)
    equivalent        for: it lies within the margin (two one-sided tests); against: it lies beyond it

A p value that speaks for a side is 1 where the estimate is on the other one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from translab.comparison.evidence import Evidence
from translab.comparison.gathering import UPDATES, Gathering
from translab.comparison.metrics import SENSES, TRAINING
from translab.comparison.rounding import shown
from translab.comparison.statistics import Effect
from translab.config import ClaimPart


@dataclass(frozen=True)
class Measured:
    """One part of a claim with its evidence."""

    part: ClaimPart
    contrast: Mapping[str, float]
    """Weight of each run, names of `best_of` resolved."""
    evidence: Evidence | None = None
    effect: Effect | None = None
    """In the metric's own sign; None with too few seeds."""
    reason: str | None = None
    """Why there is no evidence."""
    bounded: bool = False
    """A value stands for a bound that speaks against the claim: it can support it, and nothing else."""

    @property
    def turned(self) -> Effect:
        """The effect with the claimed direction up."""
        assert self.effect is not None
        return self.effect.mirrored() if self.part.direction == "lower" else self.effect

    @property
    def p_for(self) -> float:
        """Small when the part holds."""
        if self.part.kind == "equivalent":
            return self.turned.p_equivalent(self.part.margin)
        return self.turned.p(self._null) if self.turned.estimate > self._null else 1.0

    @property
    def p_against(self) -> float:
        """Small when the opposite holds."""
        if self.bounded:
            return 1.0
        if self.part.kind == "equivalent":
            beyond = min(self.turned.p_above(self.part.margin), self.turned.p_below(-self.part.margin))
            return min(1.0, 2 * beyond)
        return self.turned.p(self._null) if self.turned.estimate < self._null else 1.0

    @property
    def p_within(self) -> float | None:
        """Small when there is no difference that matters; None where none is claimed."""
        if self.part.kind not in ("superior", "trend"):
            return None
        return 1.0 if self.bounded else self.turned.p_equivalent(self.part.margin)

    @property
    def _null(self) -> float:
        return -self.part.margin if self.part.kind == "no-worse" else 0.0

    @property
    def against(self) -> list[str]:
        """The steps of a trend, along rising weights, that go the other way."""
        if self.part.kind != "trend" or self.evidence is None:
            return []
        sign = -1 if self.part.direction == "lower" else 1
        row = sorted(self.contrast, key=self.contrast.__getitem__)
        return [
            f"{before} → {after}"
            for before, after in pairwise(row)
            if sign * self.evidence.estimate({after: 1, before: -1}, self.part.metric) < 0
        ]


def measure(part: ClaimPart, contrast: Mapping[str, float], gathering: Gathering, seeds: int, outcomes: bool) -> Measured:
    """Look for the evidence of one part.

    Args:
        part: of a claim.
        contrast: its weights by run.
        gathering: all results.
        seeds: how many of the first seeds are used.
        outcomes: whether a diverged run counts as a result.
    """
    if part.metric == UPDATES:
        return _updates(part, contrast, gathering, seeds, outcomes)
    pieces = gathering.evidence(part.test_set, seeds, outcomes)
    for piece in pieces:
        found = piece.measurements.get(part.metric, {})
        if contrast.keys() <= found.keys():
            # Without this, zero differences without any spread would pass for proof that nothing differs.
            if len(scores := {score for name in contrast for score in found[name].raw}) == 1 and len(contrast) > 1:
                return Measured(part, contrast, reason=_level(part, contrast, scores.pop()))
            return Measured(part, contrast, piece, piece.effect(contrast, part.metric))
    return Measured(part, contrast, reason=_missing(part, contrast, pieces))


def _missing(part: ClaimPart, contrast: Mapping[str, float], pieces: Sequence[Evidence]) -> str:
    having = {name for piece in pieces for name in piece.measurements.get(part.metric, {})}
    lacking = [name for name in contrast if name not in having]
    names = " and ".join(f"`{name}`" for name in lacking or contrast)
    verb = "has" if len(lacking) == 1 else "have"
    if part.test_set in (TRAINING, SENSES):
        return f"{names} {verb} no {part.metric} of {part.test_set}; train and measure them again with `make repro`."
    if not having and part.metric not in ("acceptance", "choice"):
        return f"no model has {part.metric} on test set `{part.test_set}`; evaluate the models again with `make repro`."
    if not having:
        return (
            f"no model has {part.metric} on test set `{part.test_set}`; acceptance, forced choice and probes come with the "
            "phrasebook alone, on other corpora state the claim with bleu and test."
        )
    if lacking:
        return f"{names} {verb} no {part.metric} on test set `{part.test_set}`; compare models of one task that translate."
    return f"{names} have no {part.metric} on the same sentences of test set `{part.test_set}`; compare models of one task."


def _level(part: ClaimPart, contrast: Mapping[str, float], score: float) -> str:
    names = " and ".join(f"`{name}`" for name in contrast)
    return (
        f"{names} all have {shown(score, part.metric)} {part.metric} on test set `{part.test_set}` with every seed, so that it "
        f"tells nothing apart; take a metric that does, or models that have learned more or less."
    )


def _updates(part: ClaimPart, contrast: Mapping[str, float], gathering: Gathering, seeds: int, outcomes: bool) -> Measured:
    up = -1 if part.direction == "lower" else 1
    evidence, unknown = gathering.updates({name: up * weight < 0 for name, weight in contrast.items()}, seeds, outcomes)
    if evidence is None:
        return Measured(part, contrast, reason="the base has no validation loss that could be the threshold; train it again.")
    if not unknown and not contrast.keys() <= evidence.measurements[UPDATES].keys():
        return Measured(part, contrast, reason=_missing(part, contrast, [evidence]))
    exact = not unknown and gathering.is_certain(list(contrast), seeds, outcomes)
    if unknown or (part.kind == "equivalent" and not exact):
        names = " and ".join(f"`{name}`" for name in unknown or contrast)
        reason = (
            f"{names}: some runs reached the base's threshold before their first validation or never, and the bound that is "
            f"known of them would speak for the claim; validate more often (`optimisation.validate_every`) or train longer."
        )
        return Measured(part, contrast, reason=reason)
    return Measured(part, contrast, evidence, evidence.effect(contrast, UPDATES), bounded=not exact)
