"""What the evidence says about each claim: supported, refuted, equivalent, inconclusive, not decidable or not run.

    superior     supported / refuted if the contrast differs from 0, by its sign; else equivalent if it lies within the margin
    no-worse     supported / refuted if the contrast lies above / below minus the margin
    equivalent   supported if the contrast lies within the margin, refuted if it lies beyond it
    all          inconclusive if neither can be said; not decidable with too few seeds or with a run that cannot be used;
                 not run if the claim names a run outside the grid

"Differs" is said at the level of `statistics.confidence`, after Holm's adjustment over the claims of the same family that were
tested. Signs are turned so that better is above 0 (a lower TER or loss is better); reported effects keep the metric's own sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translab.comparison import transfers
from translab.comparison.evidence import Evidence
from translab.comparison.results import Grid
from translab.comparison.rounding import BETTER, rounded
from translab.comparison.statistics import MINIMUM_SEEDS, Effect, holm
from translab.comparison.wording import explain
from translab.config import Claim, ConfigError, check, nearest

VERDICTS = ("supported", "refuted", "equivalent", "inconclusive", "not decidable", "not run")


def read_claims(entries: Any, where: str) -> list[Claim]:
    """Check the entries of `claims.yaml`.

    Args:
        entries: plain values as read from YAML.
        where: the file's name, for messages.

    Raises:
        ConfigError: if the entries are not a list, an entry is not a claim, or a name is used twice.
    """
    if not isinstance(entries, list):
        raise ConfigError(
            f"{where}: found {type(entries).__name__}; allowed is a list of claims, each beginning with `- name:`."
        )
    claims: list[Claim] = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        claim = check(Claim, entry, f"{where}: {name or f'entry {number}'}")
        if claim.name in {known.name for known in claims}:
            raise ConfigError(f"{where}: two claims are called `{claim.name}`; give one of them another name.")
        claims.append(claim)
    return claims


@dataclass(frozen=True)
class _Tested:
    """A claim and its evidence, if there is any."""

    claim: Claim
    evidence: Evidence | None
    effect: Effect | None
    p: float | None
    verdict: str | None
    """Set where nothing can be tested."""
    reason: str | None


def judge(
    claims: Sequence[Claim], grid: Grid, evidence: Mapping[str, Sequence[Evidence]], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A verdict for each claim, with its numbers rounded: the records of `reports/claims.json`.

    Args:
        claims: checked claims.
        grid: all results.
        evidence: test set to the evidence on it.
        values: what the stage declares: `statistics`, `sweep`, `variants`, `methods`, `surgeries`.
    """
    alpha = 1 - values["statistics"]["confidence"]
    tested = [_test(claim, grid, evidence.get(claim.test_set, []), values) for claim in claims]
    adjusted: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for family in {claim.family for claim in claims}:
        members = [(item.claim.name, item.p) for item in tested if item.claim.family == family and item.p is not None]
        adjusted.update(zip((name for name, _ in members), holm([p for _, p in members]), strict=True))
        sizes[family] = max(1, len(members))
    return [_record(item, adjusted.get(item.claim.name), sizes[item.claim.family], alpha, grid) for item in tested]


def _test(claim: Claim, grid: Grid, evidence: Sequence[Evidence], values: Mapping[str, Any]) -> _Tested:
    absent = [name for name in claim.contrast if name not in grid.cells]
    if absent:
        return _Tested(claim, None, None, None, "not run", " ".join(_how_to_run(name, grid, values) for name in absent))
    problems = [problem for name in claim.contrast for problem in grid.cells[name].problems]
    if problems:
        return _Tested(claim, None, None, None, "not decidable", " ".join(problems))
    for piece in evidence:
        measured = piece.measurements.get(claim.metric, {})
        if all(name in measured for name in claim.contrast):
            found = piece.effect(claim.contrast, claim.metric)
            if found is None:
                reason = f"{len(grid.seeds)} of at least {MINIMUM_SEEDS} seeds; add seeds to `sweep.seeds` in params.yaml."
                return _Tested(claim, piece, None, None, "not decidable", reason)
            return _Tested(claim, piece, found, _p(claim, _turned(claim, found)), None, None)
    if not any(claim.metric in piece.measurements for piece in evidence):
        reason = (
            f"no model has {claim.metric} on test set `{claim.test_set}`; acceptance, forced choice and probes come with the "
            "phrasebook alone, on other corpora state the claim with bleu and test."
        )
        return _Tested(claim, None, None, None, "not decidable", reason)
    names = " and ".join(f"`{name}`" for name in claim.contrast)
    reason = f"{names} have no {claim.metric} on the same sentences of test set `{claim.test_set}`; compare models of one task."
    return _Tested(claim, None, None, None, "not decidable", reason)


def _how_to_run(name: str, grid: Grid, values: Mapping[str, Any]) -> str:
    """What to change so that a run outside the grid is trained."""
    found = transfers.parts(name)
    if found and not name.startswith("with-"):
        return f"`{name}` is outside the grid: {transfers.how_to_ask(found, values)}"
    # `heads-16` beside `heads-8` is a new variant, `head-8` a slip of the pen.
    families = {known.partition("-")[0] for known in grid.cells}
    hint = "" if name.partition("-")[0] in families else nearest(name, list(grid.cells))
    return f"`{name}` is outside the grid: add it to `variants` in params.yaml, then run `make repro`.{hint}"


def _turned(claim: Claim, effect: Effect) -> Effect:
    return effect if BETTER[claim.metric] > 0 else effect.mirrored()


def _p(claim: Claim, effect: Effect) -> float:
    """The p value that decides the claim; for an equivalence, the smaller of that of lying within and that of lying beyond."""
    if claim.kind == "superior":
        return effect.p()
    if claim.kind == "no-worse":
        return effect.p(-claim.margin)
    return min(effect.p_equivalent(claim.margin), _p_beyond(effect, claim.margin))


def _p_beyond(effect: Effect, margin: float) -> float:
    return min(1.0, 2 * min(effect.p_above(margin), effect.p_below(-margin)))


def _decide(claim: Claim, effect: Effect, p_adjusted: float, alpha: float) -> str:
    if p_adjusted < alpha:
        if claim.kind == "superior":
            true = effect.estimate > 0
        elif claim.kind == "no-worse":
            true = effect.estimate > -claim.margin
        else:
            true = effect.p_equivalent(claim.margin) < _p_beyond(effect, claim.margin)
        return "supported" if true else "refuted"
    if claim.kind == "superior" and effect.p_equivalent(claim.margin) < alpha:
        return "equivalent"
    return "inconclusive"


def _record(item: _Tested, p_adjusted: float | None, family_size: int, alpha: float, grid: Grid) -> dict[str, Any]:
    claim, found, metric = item.claim, item.effect, item.claim.metric
    verdict = item.verdict
    if found is not None and p_adjusted is not None:
        verdict = _decide(claim, _turned(claim, found), p_adjusted, alpha)
    differs = claim.kind == "superior" and verdict in ("supported", "refuted")
    negligible = differs and found is not None and found.p_equivalent(claim.margin) < alpha
    record: dict[str, Any] = {
        "name": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "verdict": verdict,
        "effect": rounded(item.evidence.estimate(claim.contrast, metric), metric) if item.evidence else None,
        "interval": [rounded(bound, metric) for bound in found.interval(1 - alpha)] if found else None,
        "p": rounded(item.p, "p"),
        "p_adjusted": rounded(p_adjusted, "p"),
        "minimum_detectable_effect": rounded(found.minimum_detectable(alpha / family_size), metric) if found else None,
        "seeds_needed": found.seeds_needed(claim.margin, alpha / family_size) if found else None,
        "negligible": negligible,
        "confidence": round(1 - alpha, 4),
        "seeds": grid.seeds,
        "sentences": item.evidence.sentences if item.evidence else None,
        "runs": claim.contrast,
        "raw": {
            name: [rounded(score, metric) for score in item.evidence.measurements[metric][name].raw] for name in claim.contrast
        }
        if item.evidence
        else None,
        "kind": claim.kind,
        "metric": metric,
        "test_set": claim.test_set,
        "margin": claim.margin,
        "family": claim.family,
        "reason": item.reason,
    }
    return record | {"explanation": explain(record)}
