"""Verdicts in plain English, from the rounded numbers of their records, so that a sentence never disagrees with its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from translab.comparison.rounding import BETTER, UNITS, interval, shown

PROBES = {
    "word-order": "Who did it to whom, when word order alone says so: both orders of two names or nouns.",
    "polysemy": "One English word, two Chinese ones: which sense the rest of the sentence asks for.",
    "agreement": "Which classifier a noun takes: 本 for a book, 辆 for a car.",
    "long-distance": "A predicate whose Chinese word depends on its subject, with other words between the two.",
    "numbers": "A number, a price or a time, against the same digits in another order.",
    "negation": "Whether something is said or denied, with 不 or 没.",
    "reordering": "Whose clause it is: relative clauses follow their noun in English and stand before it in Chinese.",
    "pronoun": "Whether “they” are 他们, 她们 or 它们, which only the clause before says.",
    "referent": "What “it” refers to, which Chinese leaves open too: right where the encoder's attention from the pronoun is "
    "stronger to the antecedent than to its rival.",
    "end": "Whether the translation ends where the source ends: short and long sources that begin alike.",
}
"""What each probe asks, in a sentence."""

ERRORS = {
    "number": "another value of a number, or of a word that is written with one",
    "classifier": "a classifier is wrong, missing or too many",
    "sense": "a word has another of the translations that its English form can have",
    "word": "a word is translated by another word",
    "dropped": "a word is not translated",
    "added": "there is a word that the source does not have",
    "negation": "不, 没 or 别 is wrong, missing or too many",
    "function": "a function word or an aspect (那, 会, 了, 吗) is wrong, missing or too many",
    "order": "the right words in the wrong order",
    "attachment": "the right words, but one belongs to another phrase than in the source",
    "ungrammatical": "no sentence of the grammar, for more than one of the reasons above",
}
"""What each kind of error means."""

AT_CHANCE = "○: chance lies within the interval."
COMPARED = (
    "▲, ▼: better, worse than the base (after Holm over all ablations, or all transfers, on as many pairs; those on fewer are "
    "not compared with it)."
)
"""What the signs beside a score mean."""


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
