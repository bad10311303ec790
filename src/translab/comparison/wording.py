"""Verdicts in plain English, from the rounded numbers of their records, so that a sentence never disagrees with its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from translab.comparison.metrics import METRICS
from translab.comparison.rounding import UNITS, interval, shown

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
    """A few sentences that say what a claim's verdict means.

    Args:
        record: a record of `reports/claims.json`.
    """
    if record["verdict"] == "not run":
        return str(record["reason"])
    if record["verdict"] == "not decidable":
        seen = [_difference(part) for part in record["parts"] if part["effect"] is not None]
        sentences = [str(record["reason"]), *([f"What was seen: {'; '.join(seen)}."] if seen else [])]
    elif len(record["parts"]) == 1:
        sentences = [_single(record)]
    else:
        sentences = [_joint(record)]
    return " ".join([*sentences, *_remarks(record)])


def _single(record: Mapping[str, Any]) -> str:
    verdict = record["verdict"]
    margin = _margin(record)
    size = f"{_difference(record)} ({_interval(record, record)})"
    if verdict == "equivalent":
        return f"No difference that matters: {size}, within the margin of {margin}."
    if verdict == "inconclusive":
        return f"Cannot be said yet: {size}. {_alone(record)}{_power(record, margin)}"
    yes = "Yes" if verdict == "supported" else "No"
    if record["kind"] in ("superior", "trend"):
        small = f" It is smaller than the margin of {margin}: real, but negligible." if record["negligible"] else ""
        return f"{'Yes' if verdict == 'supported' else 'No, the opposite'}: {size}.{small}"
    if record["kind"] == "no-worse":
        word = "not worse by" if verdict == "supported" else "worse by more than"
        return f"{yes}: {word} the margin of {margin}; {size}."
    return f"{yes}: {size}, {'within' if verdict == 'supported' else 'beyond'} the margin of {margin}."


LEADS = {
    "supported": "Yes, every part holds",
    "refuted": "No, the opposite of a part holds",
    "equivalent": "No difference that matters",
    "inconclusive": "Cannot be said yet, since not every part holds",
}
"""How the explanation of a claim of several parts begins."""


def _joint(record: Mapping[str, Any]) -> str:
    parts = [
        f"({number}) {part['verdict']}: {_difference(part)} ({_interval(part, record)}; margin {_margin(part)})"
        for number, part in enumerate(record["parts"], start=1)
    ]
    power = f" {_power(record, _margin(record))}" if record["verdict"] == "inconclusive" else ""
    return f"{LEADS[record['verdict']]}. {'; '.join(parts)}.{power}"


def _remarks(record: Mapping[str, Any]) -> list[str]:
    """What else a reader must know of how the verdict came about."""
    found = [f"The best of {name} is {run}." for name, run in record["chosen"].items()]
    against = [step for part in record["parts"] for step in part["against"]]
    if against:
        found.append(f"Steps that go the other way: {', '.join(against)}.")
    if any(part["bounded"] for part in record["parts"]):
        found.append("Runs of which only a bound is known count with it, since it speaks against the claim.")
    if record["diverged"]:
        found.append(f"Diverged, and counted with the lowest score there is: {', '.join(record['diverged'])}.")
    if record["unused_seeds"]:
        unused = ", ".join(str(seed) for seed in record["unused_seeds"])
        found.append(f"Decided with the first {len(record['seeds'])} seeds, as declared; not used: {unused}.")
    later = [look for look in record["looks"] if look > len(record["seeds"])]
    if record["verdict"] == "inconclusive" and later:
        found.append(f"The next look is at {later[0]} seeds.")
    if record["exploratory"]:
        found.append("Exploratory: the claim was written after its results had been seen.")
    return found


def _margin(part: Mapping[str, Any]) -> str:
    return f"{part['margin']:g} {UNITS[part['metric']]}"


def _interval(part: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    percent = f"{100 * record['confidence']:g}\N{NO-BREAK SPACE}%"
    looks = f" over {len(record['looks'])} looks" if len(record["looks"]) > 1 else ""
    return f"{percent} interval{looks} {interval(part['interval'], part['metric'], sign=True)}"


def _difference(part: Mapping[str, Any]) -> str:
    """`heads-1 scores 1.20 BLEU lower than base`; for wider contrasts, the contrast's value."""
    effect, weights, metric = part["effect"], part["runs"], METRICS[part["metric"]]
    if len(weights) == 1 and metric.subject:
        return f"the {metric.subject} of {next(iter(weights))} is {shown(effect, part['metric'], sign=True)}"
    if sorted(weights.values()) != [-1, 1]:
        return f"the contrast is {shown(effect, part['metric'], sign=True)} {metric.unit}"
    left = next(name for name, weight in weights.items() if weight > 0)
    right = next(name for name, weight in weights.items() if weight < 0)
    if effect == 0:
        what = f"have the same {metric.subject}" if metric.subject else "score the same"
        return f"{left} and {right} {what}"
    direction, amount = "higher" if effect > 0 else "lower", shown(abs(effect), part["metric"])
    if metric.subject:
        unit = "" if metric.unit in metric.subject else f" {metric.unit}"
        return f"the {metric.subject} of {left} is {amount}{unit} {direction} than that of {right}"
    remark = f" ({'better' if effect * metric.better > 0 else 'worse'})" if metric.better < 0 else ""
    return f"{left} scores {amount} {metric.unit} {direction}{remark} than {right}"


def _alone(record: Mapping[str, Any]) -> str:
    """Why a claim can be inconclusive although by itself it would have been decided."""
    low, high = record["interval"]
    if record["kind"] not in ("superior", "trend") or low <= 0 <= high:
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
