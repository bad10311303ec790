"""What the evidence says about each claim: supported, refuted, equivalent, inconclusive, not decidable or not run.

    supported       every part holds (intersection-union test: the largest p value of the parts counts; Berger 1982)
    refuted         the opposite of some part holds (the smallest p value counts, after Holm over the parts)
    equivalent      neither, and every difference that is claimed lies within its margin
    inconclusive    none of these can be said
    not decidable   too few seeds, or a run that cannot be used
    not run         the claim names a run outside the grid, or is about another corpus

A claim is decided at its looks: with exactly the first so many seeds of the grid, and the first look that decides it stands.
"Holds" is said at the level of `statistics.confidence`, of which each look spends its share (looks.py), after Holm's adjustment
over the claims of the same family that were tested (parts.py says what each part's p values are).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from translab.comparison import transfers
from translab.comparison.gathering import Gathering
from translab.comparison.looks import nominal, sequential
from translab.comparison.parts import Measured, measure
from translab.comparison.results import Grid
from translab.comparison.statistics import holm
from translab.config import Claim, nearest

VERDICTS = ("supported", "refuted", "equivalent", "inconclusive", "not decidable", "not run")
DECIDED = VERDICTS[:3]


@dataclass(frozen=True)
class Outcome:
    """What is known of a claim at one look."""

    claim: Claim
    seeds: int
    """How many of the grid's seeds are used: those of the look, or all where they are too few for the first."""
    measured: Sequence[Measured]
    verdict: str
    reason: str | None = None
    chosen: Mapping[str, str] | None = None
    """The best of each name in `best_of`."""
    p_adjusted: float | None = None
    factor: float = 1.0
    """By how much the family's adjustment multiplies a p value."""
    family: int = 1
    """How many claims of the family were tested."""

    @property
    def p_for(self) -> float:
        """Small when every part holds."""
        return max(part.p_for for part in self.measured)

    @property
    def p_against(self) -> float:
        """Small when the opposite of some part holds."""
        return min(holm([part.p_against for part in self.measured]))

    @property
    def p_within(self) -> float:
        """Small when no difference that is claimed is one that matters."""
        return max((p for part in self.measured if (p := part.p_within) is not None), default=1.0)

    @property
    def p(self) -> float | None:
        """The p value of the side that has more for it; None where nothing was tested."""
        return None if self.verdict in ("not decidable", "not run") else min(self.p_for, self.p_against)


def judge(claims: Sequence[Claim], gathering: Gathering, values: Mapping[str, Any]) -> list[Outcome]:
    """A verdict for each claim, in their order.

    Args:
        claims: checked claims.
        gathering: all results.
        values: what the stage declares: `data`, `statistics`, `sweep`, `variants`, `methods`, `surgeries`.
    """
    alpha = 1 - values["statistics"]["confidence"]
    families: dict[str, list[Claim]] = {}
    for claim in claims:
        families.setdefault(claim.family, []).append(claim)
    found = {name: outcome for family in families.values() for name, outcome in _family(family, gathering, values, alpha)}
    return [found[claim.name] for claim in claims]


def _family(
    claims: Sequence[Claim], gathering: Gathering, values: Mapping[str, Any], alpha: float
) -> list[tuple[str, Outcome]]:
    looks, available = claims[0].looks, len(gathering.grid.seeds)
    latest = {claim.name: _at(claim, gathering, available, values) for claim in claims if available < looks[0]}
    for look in (look for look in looks if look <= available):
        closed = [outcome for outcome in latest.values() if outcome.verdict in DECIDED]
        now = [
            _at(claim, gathering, look, values)
            for claim in claims
            if claim.name not in latest or latest[claim.name].verdict not in DECIDED
        ]
        tested = [outcome for outcome in now if outcome.p is not None]
        # What was decided before stays in the family: as rejected, or as never to be rejected.
        before = [float(outcome.verdict == "equivalent") for outcome in closed]
        own = [sequential(outcome.p or 0.0, looks, look) for outcome in tested]
        adjusted = holm([*before, *own])[len(before) :]
        latest |= {outcome.claim.name: outcome for outcome in now}
        for outcome, p, p_adjusted in zip(tested, own, adjusted, strict=True):
            decided = replace(
                outcome, p_adjusted=p_adjusted, factor=round(p_adjusted / p, 9) if p else 1.0, family=len(before) + len(tested)
            )
            latest[outcome.claim.name] = replace(decided, verdict=decide(decided, alpha))
    return list(latest.items())


def _at(claim: Claim, gathering: Gathering, seeds: int, values: Mapping[str, Any]) -> Outcome:
    outcomes = claim.divergence == "outcome"
    grid = gathering.at(seeds, outcomes)
    if not claim.is_about(values["data"]["b"]):
        return Outcome(claim, seeds, [], "not run", _how_to_change(claim, values["data"]["b"]))
    if absent := [name for name in claim.runs if name not in grid.cells]:
        return Outcome(claim, seeds, [], "not run", _how_to_run(claim, absent, grid, values))
    if problems := [problem for name in claim.runs for problem in grid.cells[name].problems]:
        return Outcome(claim, seeds, [], "not decidable", " ".join(problems))
    chosen = {name: _best(runs, grid) for name, runs in (claim.best_of or {}).items()}
    measured = []
    for part in claim.parts:
        contrast = {chosen.get(name, name): weight for name, weight in part.contrast.items()}
        measured.append(measure(part, contrast, gathering, seeds, outcomes))
    reasons = list(dict.fromkeys(part.reason for part in measured if part.reason is not None))
    if seeds < claim.looks[0]:
        reasons.append(f"needs {claim.looks[0]} seeds, found {seeds}; add seeds to `sweep.seeds` in params.yaml.")
    if reasons:
        return Outcome(claim, seeds, measured, "not decidable", " ".join(reasons), chosen)
    return Outcome(claim, seeds, measured, "inconclusive", None, chosen)


def _best(runs: Sequence[str], grid: Grid) -> str:
    """The one with the lowest mean validation loss; one that diverged is none of the best."""

    def loss(name: str) -> float:
        metrics = [run.metrics for run in grid.cells[name].runs.values()]
        if any(found["diverged_at"] is not None for found in metrics):
            return float("inf")
        return fmean(found["best_valid_loss"] for found in metrics)

    return min(runs, key=loss)


def decide(outcome: Outcome, alpha: float, measured: Measured | None = None) -> str:
    """The verdict on a claim that was tested, or on one of its parts.

    Args:
        outcome: of the claim, with its family's factor.
        alpha: level of the tests.
        measured: the part; None for the whole claim.
    """
    found = measured or outcome
    if _small(outcome, found.p_for, alpha, outcome.factor):
        return "supported"
    if _small(outcome, found.p_against, alpha, outcome.factor):
        return "refuted"
    within = found.p_within
    return "equivalent" if within is not None and _small(outcome, within, alpha, 1.0) else "inconclusive"


def is_negligible(outcome: Outcome, alpha: float, measured: Measured | None = None) -> bool:
    """Whether a claim (or a part of it) that was decided is about differences that do not matter."""
    within = (measured or outcome).p_within
    return within is not None and _small(outcome, within, alpha, 1.0)


def _small(outcome: Outcome, p: float, alpha: float, factor: float) -> bool:
    """Whether `factor` times the sequential p value is below `alpha`, said without turning p round."""
    looks = outcome.claim.looks
    return p < nominal(alpha / factor, looks)[looks.index(outcome.seeds)]


def _how_to_change(claim: Claim, corpus: str) -> str:
    """What to do so that the claim's own corpus is task B."""
    how = f"run `make repro RECIPE={claim.recipe}`" if claim.recipe else f"set data.b to {claim.corpus} in params.yaml"
    return f"It is about the corpus `{claim.corpus}`, and this grid translates `{corpus}`: {how}."


def _how_to_run(claim: Claim, absent: Sequence[str], grid: Grid, values: Mapping[str, Any]) -> str:
    """What to do so that runs outside the grid are trained."""
    if claim.recipe is not None:
        names = " and ".join(f"`{name}`" for name in absent)
        return f"{names} {'is' if len(absent) == 1 else 'are'} outside the grid: run `make repro RECIPE={claim.recipe}`."
    return " ".join(_how_to_add(name, grid, values) for name in absent)


def _how_to_add(name: str, grid: Grid, values: Mapping[str, Any]) -> str:
    found = transfers.parts(name)
    if found and not name.startswith("with-"):
        return f"`{name}` is outside the grid: {transfers.how_to_ask(found, values)}"
    # `heads-16` beside `heads-8` is a new variant, `head-8` a slip of the pen.
    families = {known.partition("-")[0] for known in grid.cells}
    hint = "" if name.partition("-")[0] in families else nearest(name, list(grid.cells))
    return f"`{name}` is outside the grid: add it to `variants` in params.yaml, then run `make repro`.{hint}"
