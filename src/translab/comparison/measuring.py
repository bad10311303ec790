"""The pilot: how much the base varies from seed to seed, before anything is compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from translab.comparison.gathering import Gathering
from translab.comparison.pilot import described
from translab.comparison.planning import BASE
from translab.comparison.results import read_grid
from translab.comparison.statistics import MINIMUM_SEEDS
from translab.comparison.testsets import ResultsError

RUN = ("model", "batch", "optimisation", "randomness")
"""Sections that a run's config.json has too."""


def measure_base(values: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """The content of `reports/pilot.json`, from the base's runs.

    Args:
        values: what the stage `compare` declares.
        data: the folder that holds `runs/` and `evaluations/`.

    Raises:
        ResultsError: if there are too few seeds, a run cannot be used, or one was trained with other values.
    """
    seeds = values["sweep"]["seeds"]
    if len(seeds) < MINIMUM_SEEDS:
        raise ResultsError(
            f"a pilot needs {MINIMUM_SEEDS} seeds or more, sweep.seeds in params.yaml has {len(seeds)}; run "
            f"`make repro RECIPE=pilot`, which trains the base with ten."
        )
    grid = read_grid([(BASE, "ablate")], seeds, data)
    if grid.problems:
        more = f" ({len(grid.problems) - 1} more)" if len(grid.problems) > 1 else ""
        raise ResultsError(f"the pilot's runs are not complete: {grid.problems[0]}{more}")
    for run in grid.cells[BASE].runs.values():
        for section in RUN:
            if run.config["values"].get(section) != values[section]:
                raise ResultsError(
                    f"{BASE}, seed {run.seed}: it was trained with another `{section}` than params.yaml has; run `make repro` "
                    f"first."
                )
    statistics = values["statistics"]
    return described(Gathering(grid, statistics["resamples"], statistics["seed"]), values)
