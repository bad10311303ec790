"""Verdicts in plain English, from the rounded numbers of their records, so that a sentence never disagrees with its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from translab.comparison.rounding import BETTER, UNITS, interval, shown


def explain(record: Mapping[str, Any]) -> str:
    """One or two sentences that say what a claim's verdict means.

    Args:
        record: a record of `reports/claims.json`.
    """
    verdict, metric = record["verdict"], record["metric"]
    if verdict == "not run":
        return str(record["reason"])
    if verdict == "not decidable":
        seen = f" What was seen: {_difference(record)}." if record["effect"] is not None else ""
        return f"{record['reason']}{seen}"
    percent = f"{100 * record['confidence']:g}\N{NO-BREAK SPACE}%"
    margin = f"{record['margin']:g} {UNITS[metric]}"
    size = f"{_difference(record)} ({percent} interval {interval(record['interval'], metric, sign=True)})"
    if verdict == "equivalent":
        return f"No difference that matters: {size}, within the margin of {margin}."
    if verdict == "inconclusive":
        return f"Cannot be said yet: {size}. {_alone(record)}{_power(record, margin)}"
    if record["kind"] == "superior":
        small = f" It is smaller than the margin of {margin}: real, but negligible." if record["negligible"] else ""
        return f"{'Yes' if verdict == 'supported' else 'No, the opposite'}: {size}.{small}"
    if record["kind"] == "no-worse":
        word = "not worse by" if verdict == "supported" else "worse by more than"
        return f"{'Yes' if verdict == 'supported' else 'No'}: {word} the margin of {margin}; {size}."
    word = "within" if verdict == "supported" else "beyond"
    return f"{'Yes' if verdict == 'supported' else 'No'}: {size}, {word} the margin of {margin}."


def _difference(record: Mapping[str, Any]) -> str:
    """`heads-1 scores 1.20 BLEU lower than base`; for wider contrasts, the contrast's value."""
    effect, metric = record["effect"], record["metric"]
    weights = record["runs"]
    if sorted(weights.values()) != [-1, 1]:
        return f"the contrast is {shown(effect, metric, sign=True)} {UNITS[metric]}"
    left = next(name for name, weight in weights.items() if weight > 0)
    right = next(name for name, weight in weights.items() if weight < 0)
    if effect == 0:
        return f"{left} and {right} score the same"
    direction = "higher" if effect > 0 else "lower"
    remark = f" ({'better' if effect * BETTER[metric] > 0 else 'worse'})" if BETTER[metric] < 0 else ""
    return f"{left} scores {shown(abs(effect), metric)} {UNITS[metric]} {direction}{remark} than {right}"


def _alone(record: Mapping[str, Any]) -> str:
    """Why a claim can be inconclusive although its interval leaves out 0."""
    low, high = record["interval"]
    if record["kind"] != "superior" or low <= 0 <= high:
        return ""
    return (
        f"By itself it would count (p {shown(record['p'], 'p')}), but among the claims of the family {record['family']} "
        f"it may be chance (p {shown(record['p_adjusted'], 'p')} after Holm). "
    )


def _power(record: Mapping[str, Any], margin: str) -> str:
    detectable = shown(record["minimum_detectable_effect"], record["metric"])
    seeds = len(record["seeds"])
    text = f"With {seeds} seeds only differences of {detectable} {UNITS[record['metric']]} or more would be found"
    if record["seeds_needed"] is None:
        return f"{text}; finding {margin} needs a larger test set, more seeds alone are not enough."
    if record["seeds_needed"] <= seeds:
        return f"{text}."
    return f"{text}; finding {margin} needs {record['seeds_needed']} seeds."
