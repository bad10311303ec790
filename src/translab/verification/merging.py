"""Verdicts from several reports: what other machines found of the same claims with other seeds, pooled (see pooling.py).

A pooled verdict is one more test at the level of the claims' intervals, adjusted after Holm over the claims of a family that
could be pooled. It is none of the looks that the claims declare, which stay those of each report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from translab.comparison.parts import Measured
from translab.comparison.rounding import rounded, significant
from translab.comparison.statistics import holm
from translab.comparison.testsets import ResultsError
from translab.comparison.verdicts import Outcome, decide
from translab.config import Claim, check_claim
from translab.verification.pooling import Pooled, Study, pool

TEXT = ("statement", "source", "family", "looks", "divergence", "held")
PART = ("kind", "metric", "test_set", "direction", "margin")
"""Keys of a claim and of its parts that must be equal in all reports, beside the contrast and the number of sentences."""

Record = Mapping[str, Any]
Reports = Mapping[str, Sequence[Record]]
"""Name of each report to its records."""


@dataclass(frozen=True)
class Merged:
    """What came of it."""

    records: list[dict[str, Any]]
    """One for each claim of the first report that others have too."""
    alone: list[str]
    """The claims of the first report that fewer than two reports tested."""


def merge(reports: Reports) -> Merged:
    """Pool reports.

    Args:
        reports: two or more; the first one's claims are pooled.

    Raises:
        ResultsError: if a claim is not the same in all reports, or two reports share a seed; one sentence for each.
    """
    names = [record["name"] for record in next(iter(reports.values()))]
    found = {name: {report: known for report, records in reports.items() if (known := _named(records, name))} for name in names}
    refused = [sentence for name, having in found.items() for sentence in _refusals(name, having)]
    if refused:
        raise ResultsError("\n".join(dict.fromkeys(refused)))
    tested = {
        name: {report: record for report, record in having.items() if _is_tested(record)} for name, having in found.items()
    }
    alone = [name for name, having in tested.items() if len(having) < 2]
    together = [_Pooling(having) for having in tested.values() if len(having) > 1]
    families: dict[str, list[_Pooling]] = {}
    for pooling in together:
        families.setdefault(pooling.outcome.claim.family, []).append(pooling)
    for family in families.values():
        p_values = [pooling.outcome.p or 0.0 for pooling in family]
        for pooling, p, adjusted in zip(family, p_values, holm(p_values), strict=True):
            pooling.adjust(adjusted, round(adjusted / p, 9) if p else 1.0, len(family))
    return Merged([pooling.record() for pooling in together], alone)


class _Pooling:
    """One claim with what its reports say."""

    def __init__(self, having: Mapping[str, Record]) -> None:
        self._having = having
        first = next(iter(having.values()))
        self._alpha = 1 - first["confidence"]
        self._pooled = [pool(_studies(having.values(), place)) for place in range(len(first["parts"]))]
        seeds = sum(len(record["seeds"]) for record in having.values())
        claim = _claim(first, seeds)
        measured = [
            Measured(part, part.contrast, effect=found.effect, bounded=any(_part(r, place)["bounded"] for r in having.values()))
            for place, (part, found) in enumerate(zip(claim.parts, self._pooled, strict=True))
        ]
        self.outcome = Outcome(claim, seeds, measured, "inconclusive")

    def adjust(self, p: float, factor: float, family: int) -> None:
        """Take the family into account, and decide."""
        outcome = replace(self.outcome, p_adjusted=p, factor=factor, family=family)
        self.outcome = replace(outcome, verdict=decide(outcome, self._alpha))

    def record(self) -> dict[str, Any]:
        """The claim with its pooled numbers, rounded like those of claims.json."""
        first = next(iter(self._having.values()))
        return {
            "name": first["name"],
            "statement": first["statement"],
            "verdict": self.outcome.verdict,
            "p": rounded(self.outcome.p, "p"),
            "p_adjusted": rounded(self.outcome.p_adjusted, "p"),
            "confidence": first["confidence"],
            "reports": [
                {"report": report, "verdict": record["verdict"], "seeds": record["seeds"]}
                for report, record in self._having.items()
            ],
            "parts": [self._part(place, found) for place, found in enumerate(self._pooled)],
        }

    def _part(self, place: int, found: Pooled) -> dict[str, Any]:
        measured = self.outcome.measured[place]
        metric = measured.part.metric
        return {
            "runs": dict(measured.contrast),
            **{key: getattr(measured.part, key) for key in PART},
            "verdict": decide(self.outcome, self._alpha, measured),
            "effect": rounded(found.effect.estimate, metric),
            "interval": [rounded(bound, metric) for bound in found.effect.interval(1 - self._alpha)],
            "standard_error": significant(found.effect.standard_error),
            "freedom": significant(found.effect.freedom),
            "common": {
                "effect": rounded(found.common.estimate, metric),
                "interval": [rounded(bound, metric) for bound in found.common.interval(1 - self._alpha)],
            },
            "effects": [_part(record, place)["effect"] for record in self._having.values()],
            "weights": [significant(weight) for weight in found.weights],
            "heterogeneity": {
                "q": significant(found.q),
                "p": rounded(found.p_q, "p"),
                "i_squared": significant(found.i_squared),
                "tau_squared": significant(found.tau_squared),
            },
        }


def _studies(records: Iterable[Record], place: int) -> list[Study]:
    return [_study(_part(record, place), len(record["seeds"])) for record in records]


def _study(part: Mapping[str, Any], seeds: int) -> Study:
    freedom, sentences = part["freedom"] or math.inf, part["sentences"] or 0
    return Study(part["effect"], part["standard_error"], part["sentence_error"], freedom, sentences, seeds)


def _part(record: Record, place: int) -> Mapping[str, Any]:
    part: Mapping[str, Any] = record["parts"][place]
    return part


def _is_tested(record: Record) -> bool:
    return all(part.get("standard_error") is not None for part in record["parts"])


def _named(records: Sequence[Record], name: str) -> Record | None:
    return next((record for record in records if record["name"] == name), None)


def _claim(record: Record, seeds: int) -> Claim:
    """The claim of a record, decided once, with all seeds."""
    parts = [
        {**{key: part[key] for key in PART if part[key] is not None}, "contrast": part["runs"]} for part in record["parts"]
    ]
    about = {key: record[key] for key in ("name", *TEXT)} | {
        "looks": [seeds],
        "written": "after" if record["exploratory"] else "before",
    }
    return check_claim(about | (parts[0] if len(parts) == 1 else {"all_of": parts}), record["name"])


def _refusals(name: str, having: Mapping[str, Record]) -> list[str]:
    """Why reports of one claim cannot be pooled."""
    found = []
    for (one, left), (other, right) in combinations(having.items(), 2):
        unlike = next((key for key, (a, b) in _texts(left, right).items() if a != b), None)
        if unlike is not None:
            a, b = _texts(left, right)[unlike]
            found.append(
                f"{name}: `{unlike}` is {a!r} in {one} and {b!r} in {other}; pool reports of the same entry of claims.yaml."
            )
            continue
        if not (_is_tested(left) and _is_tested(right)):
            continue
        common = [str(seed) for seed in left["seeds"] if seed in right["seeds"]]
        if common:
            found.append(
                f"{one} and {other} both have seed{'s' if len(common) > 1 else ''} {', '.join(common)}, whose runs are the "
                f"same; give each machine its own `sweep.seeds`."
            )
    return found


def _texts(left: Record, right: Record) -> dict[str, tuple[Any, Any]]:
    """Key to what two records say."""
    texts = {key: (left.get(key), right.get(key)) for key in (*TEXT, "confidence")}
    texts["all_of"] = (len(left["parts"]), len(right["parts"]))
    for place, (one, other) in enumerate(zip(left["parts"], right["parts"], strict=False)):
        where = f"all_of.{place}." if len(left["parts"]) > 1 else ""
        texts |= {f"{where}{key}": (one.get(key), other.get(key)) for key in PART}
        texts[f"{where}contrast"] = (one["runs"], other["runs"])
        if one.get("sentences") and other.get("sentences"):
            texts[f"{where}sentences"] = (one["sentences"], other["sentences"])
    return texts
