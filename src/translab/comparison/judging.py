"""From files to the records of all claims, for the report and for whoever makes its verdicts again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from translab.comparison import claim_records
from translab.comparison.claims import read_claims
from translab.comparison.gathering import Gathering
from translab.comparison.results import BASE, Recount, read_grid
from translab.comparison.testsets import ResultsError
from translab.comparison.verdicts import judge


def judged(
    values: Mapping[str, Any], names: Sequence[tuple[str, str]], claims: Any, data: Path, recount: Recount | None = None
) -> tuple[Gathering, list[dict[str, Any]]]:
    """All results, and the record of each claim.

    Args:
        values: what the stage `compare` declares.
        names: (name, stage) of every model that the values expand to.
        claims: the entries of `claims.yaml`, unchecked.
        data: the folder that holds `runs/` and `evaluations/`.
        recount: makes the sentences' statistics anew; None to take those that are stored.

    Raises:
        ConfigError: if a claim is not valid.
        ResultsError: if there is no base to compare with.
    """
    checked = read_claims(claims, "claims.yaml")
    if BASE not in dict(names):
        raise ResultsError(f"params.yaml: variants has no `{BASE}`; every comparison needs it: add `{BASE}: {{}}` to variants.")
    statistics = values["statistics"]
    grid = read_grid(names, values["sweep"]["seeds"], data, recount)
    gathering = Gathering(grid, statistics["resamples"], statistics["seed"])
    alpha = 1 - statistics["confidence"]
    return gathering, [claim_records.record(outcome, gathering, alpha) for outcome in judge(checked, gathering, values)]
