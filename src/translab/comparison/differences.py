"""One model's score, and what it is in relation to the base, as rounded records: the same wherever a model is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.evidence import Evidence
from translab.comparison.metrics import METRICS
from translab.comparison.results import BASE, Cell, Grid
from translab.comparison.rounding import BETTER, rounded
from translab.comparison.statistics import Effect, holm


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
    if METRICS[metric].share:
        bounds = max(bounds[0], 0.0), min(bounds[1], 100.0)
    return [rounded(bound, metric) for bound in bounds]


def comparable(grid: Grid, names: Sequence[str]) -> list[str]:
    """The models whose difference from the base is what they are named after.

    On fewer pairs than the base, the pairs would be what is compared; a fine-tuned model of another shape, or trained
    otherwise, would be compared for that.
    """
    pairs = {
        name: cell.first.config["values"]["data"]["training_pairs"]
        for name, cell in grid.cells.items()
        if cell.first is not None
    }
    return [
        name
        for name in names
        if pairs.get(name) == pairs.get(BASE) and (grid.cells[name].stage != "finetune" or like_base(grid, grid.cells[name]))
    ]


def like_base(grid: Grid, cell: Cell) -> bool:
    """Whether a model has the base's shape and training: the same values of the sections `model` and `optimisation`."""
    base = grid.cells[BASE].first
    if base is None or cell.first is None:
        return False
    ours, theirs = cell.first.config["values"], base.config["values"]
    return all(ours[section] == theirs[section] for section in ("model", "optimisation"))


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
    told = tested({name: found for name, found in effects.items() if found is not None}, metric, 1 - confidence)
    records = {}
    for name, piece in pieces.items():
        other = piece.estimate({against[name]: 1}, metric)
        records[name] = {
            "metric": metric,
            "estimate": rounded(piece.estimate({name: 1, against[name]: -1}, metric), metric),
            "raw": [rounded(score - other, metric) for score in piece.measurements[metric][name].raw],
            "word": "not decidable",
            **told.get(name, {}),
        }
    return records


def tested(effects: Mapping[str, Effect], metric: str, alpha: float) -> dict[str, dict[str, Any]]:
    """Name to the interval of its effect, its p values and what they say; the names are one family, adjusted after Holm.

    Args:
        effects: differences, whose signs are the metric's own.
        metric: what is compared.
        alpha: level of the tests; 1 minus it is that of the intervals.
    """
    adjusted = holm([found.p() for found in effects.values()])
    return {
        name: _tested(found, p_adjusted, metric, alpha, len(effects))
        for (name, found), p_adjusted in zip(effects.items(), adjusted, strict=True)
    }


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
