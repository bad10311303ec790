"""Are the verdicts what the translations say? Every record of `reports/claims.json` is made anew and compared with the file.

Nothing is trained or translated. What only a model could say again (losses, forced choice, what training measured) is read as
it was stored, and named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translab import layout
from translab.comparison.claims import read_claims
from translab.comparison.judging import judged
from translab.comparison.testsets import ResultsError
from translab.files import read_json
from translab.grid import grid
from translab.params import declared, read_yaml
from translab.verification.recount import COLUMNS, Again

CLAIMS = Path("reports/claims.json")


@dataclass(frozen=True)
class Difference:
    """One value that is not what the results give."""

    claim: str
    value: str
    """Its place in the record, such as `parts.0.effect`."""
    reported: Any
    recomputed: Any


@dataclass(frozen=True)
class Verified:
    """What came of it."""

    claims: int
    differences: list[Difference]
    as_stored: list[str]
    """Metrics of claims that were not made anew from translations."""


def verify(root: Path) -> Verified:
    """Make every verdict of a project anew and compare it with its report.

    Args:
        root: the project's folder.

    Raises:
        ResultsError: if there is no report.
        ConfigError: if a value or a claim is not valid.
    """
    reported = read_records(root / CLAIMS)
    values, entries = declared("compare", root), read_yaml(root / "claims.yaml")
    parts = [part for claim in read_claims(entries, "claims.yaml") for part in claim.parts]
    again = Again(root / layout.TEXT, [(part.test_set, part.metric) for part in parts])
    names = [(row.name, row.stage) for row in grid(values)]
    _, records = judged(values, names, entries, root / layout.RUNS.parent, again)
    recomputed = json.loads(json.dumps(records))
    kept = dict.fromkeys(part.metric for part in parts if part.metric not in COLUMNS)
    return Verified(len(recomputed), list(_differences(reported, recomputed)), list(kept))


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a report: its `claims.json`, or the folder that holds it.

    Raises:
        ResultsError: if there are none.
    """
    file = path / CLAIMS.name if path.is_dir() else path
    if not file.is_file():
        raise ResultsError(f"{file} is missing; name a claims.json or its folder, or run `make repro` to write the report.")
    try:
        records = read_json(file)
    except ValueError:
        records = None
    if not isinstance(records, list) or not all(isinstance(record, dict) and "parts" in record for record in records):
        raise ResultsError(f"{file} is not a list of claims as `make repro` writes it; name the claims.json of a report.")
    return records


def _differences(reported: Sequence[Mapping[str, Any]], recomputed: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    known = {record["name"]: record for record in reported}
    for record in recomputed:
        if record["name"] not in known:
            yield Difference(record["name"], "verdict", None, record["verdict"])
            continue
        yield from _unlike(record["name"], "", known.pop(record["name"]), record)
    for name, record in known.items():
        yield Difference(name, "verdict", record.get("verdict"), None)


def _unlike(claim: str, where: str, reported: Any, recomputed: Any) -> Iterator[Difference]:
    if isinstance(reported, dict) and isinstance(recomputed, dict):
        for key in [*recomputed, *(key for key in reported if key not in recomputed)]:
            yield from _unlike(claim, f"{where}.{key}", reported.get(key), recomputed.get(key))
    elif isinstance(reported, list) and isinstance(recomputed, list) and len(reported) == len(recomputed):
        for place, (one, other) in enumerate(zip(reported, recomputed, strict=True)):
            yield from _unlike(claim, f"{where}.{place}", one, other)
    elif reported != recomputed:
        yield Difference(claim, where.removeprefix("."), reported, recomputed)
