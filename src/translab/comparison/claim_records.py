"""The records of `reports/claims.json`: each claim with its verdict, its rounded numbers and those of every part."""

from __future__ import annotations

import math
from typing import Any

from translab.comparison.gathering import Gathering
from translab.comparison.looks import nominal
from translab.comparison.parts import Measured
from translab.comparison.rounding import rounded, significant
from translab.comparison.verdicts import DECIDED, Outcome, decide, is_negligible
from translab.comparison.wording import explain
from translab.config import ClaimPart

TESTED = (*DECIDED, "inconclusive")
"""Verdicts behind which there is a test."""


def record(outcome: Outcome, gathering: Gathering, alpha: float) -> dict[str, Any]:
    """One claim. Its own effect, interval and so on are those of the part that decides: the one with most against it.

    Args:
        outcome: of `judge`.
        gathering: all results.
        alpha: level of the tests; 1 minus it is that of the intervals.
    """
    claim, seeds = outcome.claim, gathering.grid.seeds
    parts = [_part(outcome, measured, alpha) for measured in outcome.measured] or [_unmeasured(part) for part in claim.parts]
    deciding = _deciding(outcome)
    made: dict[str, Any] = {
        "name": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": outcome.verdict,
        **{key: value for key, value in parts[deciding].items() if key != "verdict"},
        "p": rounded(outcome.p, "p"),
        "p_adjusted": rounded(outcome.p_adjusted, "p"),
        "confidence": round(1 - alpha, 4),
        "seeds": seeds[: outcome.seeds],
        "unused_seeds": seeds[outcome.seeds :],
        "looks": claim.looks,
        "family": claim.family,
        "held": claim.held,
        "divergence": claim.divergence,
        "diverged": _diverged(outcome, gathering),
        "chosen": dict(outcome.chosen or {}),
        "exploratory": claim.written == "after",
        "deciding": deciding,
        "parts": parts,
        "reason": outcome.reason,
    }
    if outcome.verdict in ("supported", "refuted"):
        made["negligible"] = is_negligible(outcome, alpha)
    return made | {"explanation": explain(made)}


def _deciding(outcome: Outcome) -> int:
    """The part that refutes a claim; else the one that is farthest from holding."""
    if outcome.verdict not in TESTED:
        return 0
    p_values = [measured.p_against if outcome.verdict == "refuted" else -measured.p_for for measured in outcome.measured]
    return p_values.index(min(p_values))


def _part(outcome: Outcome, measured: Measured, alpha: float) -> dict[str, Any]:
    part, metric, piece, found = measured.part, measured.part.metric, measured.evidence, measured.effect
    made = _unmeasured(part) | {"runs": dict(measured.contrast)}
    if piece is not None:
        made |= {
            "effect": rounded(piece.estimate(measured.contrast, metric), metric),
            "sentences": piece.sentences or None,
            "raw": {
                name: [rounded(score, metric) for score in piece.measurements[metric][name].raw] for name in measured.contrast
            },
            "against": measured.against,
            "bounded": measured.bounded,
        }
    if found is None or outcome.verdict not in TESTED:
        return made
    looks = outcome.claim.looks
    look = looks.index(outcome.seeds)
    share = alpha / outcome.family
    verdict = decide(outcome, alpha, measured)
    return made | {
        "verdict": verdict,
        "interval": [rounded(bound, metric) for bound in found.interval(1 - nominal(alpha, looks)[look])],
        "standard_error": significant(found.standard_error),
        "sentence_error": significant(math.sqrt(found.sentence_variance)),
        "freedom": significant(found.freedom) if math.isfinite(found.freedom) else None,
        "p": rounded(min(measured.p_for, measured.p_against), "p"),
        "minimum_detectable_effect": rounded(found.minimum_detectable(nominal(share, looks)[look]), metric),
        "seeds_needed": found.seeds_needed(part.margin, nominal(share, looks)[-1]),
        "negligible": verdict in ("supported", "refuted") and is_negligible(outcome, alpha, measured),
    }


def _unmeasured(part: ClaimPart) -> dict[str, Any]:
    """What a part is, without any result."""
    return {
        "kind": part.kind,
        "runs": part.contrast,
        "metric": part.metric,
        "test_set": part.test_set,
        "direction": part.direction,
        "margin": part.margin,
        "verdict": None,
        "effect": None,
        "interval": None,
        "standard_error": None,
        "sentence_error": None,
        "freedom": None,
        "p": None,
        "minimum_detectable_effect": None,
        "seeds_needed": None,
        "negligible": False,
        "sentences": None,
        "raw": None,
        "against": [],
        "bounded": False,
    }


def _diverged(outcome: Outcome, gathering: Gathering) -> list[str]:
    """The runs that count as having diverged."""
    if outcome.claim.divergence == "invalid" or not outcome.measured:
        return []
    cells = gathering.at(outcome.seeds).cells
    return [
        f"{name}, seed {fault.seed}"
        for measured in outcome.measured
        for name in measured.contrast
        for fault in cells[name].faults
        if fault.diverged
    ]
