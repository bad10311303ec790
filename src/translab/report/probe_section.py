"""The page's section on probes, splits and errors: what stands where. The layout is `templates/probes.html.j2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison import probes
from translab.comparison.results import BASE, Grid
from translab.comparison.testsets import PROBE
from translab.comparison.wording import ERRORS, PROBES
from translab.report import probe_figures, probe_tables

HELPERS = {"marked": probe_tables.marked, "between": probe_tables.between, "appearance": probe_tables.appearance}
"""What the template calls."""


def contents(grid: Grid, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that the section shows.

    Args:
        grid: all results.
        records: those of `reports/probes.json`.
    """
    sets = list(dict.fromkeys(record["set"] for record in records))
    kinds = {kind for record in records for kind in record["errors"]}
    return {
        "cards": [
            {
                "name": probe_tables.title(name),
                "asks": PROBES.get(name.removeprefix(PROBE), ""),
                "items": next(record["items"] for record in records if record["set"] == name),
                "example": example,
            }
            for name, example in probes.examples(grid).items()
            if name in sets
        ],
        "splits": probe_tables.splits(records),
        "choices": probe_tables.choices(records),
        "generated": probe_tables.generated(records),
        "distances": _distances([record for record in records if record["set"] == f"{PROBE}long-distance" and record["parts"]]),
        "parts": [(probe_tables.title(name), made) for name in sets if (made := probe_tables.parts(records, name)).rows],
        "rates": [made for name in sets if (made := probe_tables.rates(records, name)).rows],
        "errors": [(name, made) for name in sets if (made := probe_tables.errors(records, name)).rows],
        "meanings": [(kind, meaning) for kind, meaning in ERRORS.items() if kind in kinds],
    }


def _distances(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Forced choice by distance, one figure a model; they share their axes."""
    if not records:
        return []
    distances = [int(part["part"]) for record in records for part in record["parts"]]
    bounds = [bound for record in records for part in record["parts"] for bound in [part["mean"], *(part["interval"] or [])]]
    box = {"near": min(distances), "far": max(distances), "low": min([probes.CHANCE, *bounds]) - 2}
    base = next((record for record in records if record["name"] == BASE), None)
    return [{"name": record["name"], "figure": probe_figures.by_distance(record, base, box)} for record in records]
