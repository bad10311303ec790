"""One model's score, and what it is in relation to the base, as rounded records: the same wherever a model is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.evidence import Evidence
from translab.comparison.results import BASE
from translab.comparison.rounding import BETTER, rounded
from translab.comparison.statistics import Effect, holm

SHARES = frozenset({"acceptance", "choice", "exact"})
"""Metrics that lie between 0 and 100; their intervals end there."""


def measured(piece: Evidence, name: str, metric: str, confidence: float) -> dict[str, Any]:
    """The mean over seeds, its interval (None below three seeds), and each seed's score."""
    found = piece.effect({name: 1}, metric)
    return {
        "mean": rounded(piece.estimate({name: 1}, metric), metric),
        "interval": _bounds(found, metric, confidence) if found else None,
        "raw": [rounded(value, metric) for value in piece.measurements[metric][name].raw],
    }


def _bounds(found: Effect, metric: str, confidence: float) -> list[float | None]:
    bounds = found.interval(confidence)
    if metric in SHARES:
        bounds = max(bounds[0], 0.0), min(bounds[1], 100.0)
    return [rounded(bound, metric) for bound in bounds]


def differences(
    names: Sequence[str], evidence: Sequence[Evidence], metric: str, confidence: float
) -> dict[str, dict[str, Any]]:
    """Name to its difference from the base; the p values of all names are adjusted together (Holm).

    Args:
        names: models to compare, the base itself left out.
        evidence: that of one test set.
        metric: what is compared.
        confidence: level of the intervals.
    """
    return paired({name: BASE for name in names if name != BASE}, evidence, metric, confidence)


def paired(
    against: Mapping[str, str], evidence: Sequence[Evidence], metric: str, confidence: float
) -> dict[str, dict[str, Any]]:
    """Name to its difference from the model it is paired with; the p values are adjusted together (Holm).

    Args:
        against: name to the name it is compared with.
        evidence: that of one test set.
        metric: what is compared.
        confidence: level of the intervals.
    """
    pieces = {
        name: piece
        for piece in evidence
        for name, other in against.items()
        if {name, other} <= piece.measurements.get(metric, {}).keys()
    }
    effects = {name: piece.effect({name: 1, against[name]: -1}, metric) for name, piece in pieces.items()}
    tested = {name: found for name, found in effects.items() if found is not None}
    adjusted = dict(zip(tested, holm([found.p() for found in tested.values()]), strict=True))
    records = {}
    for name, piece in pieces.items():
        other = piece.estimate({against[name]: 1}, metric)
        records[name] = {
            "metric": metric,
            "estimate": rounded(piece.estimate({name: 1, against[name]: -1}, metric), metric),
            "raw": [rounded(score - other, metric) for score in piece.measurements[metric][name].raw],
            "word": "not decidable",
        }
        if name in tested:
            records[name] |= _tested(tested[name], adjusted[name], metric, 1 - confidence, len(tested))
    return records


def _tested(found: Effect, p_adjusted: float, metric: str, alpha: float, family_size: int) -> dict[str, Any]:
    word = "better" if found.estimate * BETTER[metric] > 0 else "worse"
    if p_adjusted >= alpha:
        word = f"perhaps {word}" if found.p() < alpha else "no clear difference"
    return {
        "interval": [rounded(bound, metric) for bound in found.interval(1 - alpha)],
        "p": rounded(found.p(), "p"),
        "p_adjusted": rounded(p_adjusted, "p"),
        "minimum_detectable_effect": rounded(found.minimum_detectable(alpha / family_size), metric),
        "word": word,
    }
