"""The verdicts as a short comment for a pull request: how many of each, and a line for every claim.

The line is the claim's statement and what its record says of it, so that the comment has the report's numbers and no others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.rounding import UNITS, interval, shown
from translab.comparison.testsets import TEST_SET
from translab.comparison.verdicts import VERDICTS
from translab.report.tables import MARKS

DECIDED = ("supported", "refuted", "equivalent")
"""Verdicts of claims that the evidence answers; they come first."""


def markdown(records: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> str:
    """The comment.

    Args:
        records: those of `reports/claims.json`.
        problems: what keeps models out of every comparison.
    """
    counts = Counter(record["verdict"] for record in records)
    told = [f"{MARKS[verdict]} {counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    parts = ["### What the evidence says\n\n", f"{' · '.join(told) or 'No claims are stated.'}\n"]
    parts += [f"\n> {problem}\n" for problem in problems]
    answered = [record for record in records if record["verdict"] in DECIDED]
    others = [record for record in records if record["verdict"] not in DECIDED]
    if answered:
        parts += ["\n", *(_line(record) for record in answered)]
    if others:
        parts += [f"\n<details><summary>{len(others)} without an answer</summary>\n\n"]
        parts += [*(_line(record) for record in others), "\n</details>\n"]
    return "".join(parts)


def _line(record: Mapping[str, Any]) -> str:
    sizes = "; ".join(found for part in record["parts"] if (found := _size(part)))
    return f"- {MARKS[record['verdict']]} **{record['verdict']}**: {record['statement']}{f' ({sizes})' if sizes else ''}\n"


def _size(part: Mapping[str, Any]) -> str:
    """`+4.2 points of acceptance on test-longer, +2.0 to +6.5`; nothing where nothing was measured."""
    if part["effect"] is None:
        return ""
    metric, place = part["metric"], "" if part["test_set"] == TEST_SET else f" on {part['test_set']}"
    around = f", {interval(part['interval'], metric, sign=True)}" if part["interval"] else ""
    return f"{shown(part['effect'], metric, sign=True)} {UNITS[metric]}{place}{around}"
