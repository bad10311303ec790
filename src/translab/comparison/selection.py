"""Parts of the grid that a claim asks for: its first seeds alone, or diverged runs as results."""

from __future__ import annotations

from dataclasses import replace

from translab.comparison.results import Cell, Grid, Run
from translab.comparison.sufficient import floor
from translab.comparison.testsets import TestSet


def first_seeds(grid: Grid, number: int) -> Grid:
    """The grid as it is with the first `number` of its seeds: runs and faults of later ones do not exist."""
    seeds = grid.seeds[:number]
    return Grid(
        {
            name: Cell(
                name,
                cell.stage,
                {seed: run for seed, run in cell.runs.items() if seed in seeds},
                [fault for fault in cell.faults if fault.seed in seeds],
            )
            for name, cell in grid.cells.items()
        },
        seeds,
    )


def with_outcomes(grid: Grid) -> Grid:
    """The grid in which a diverged run is one that knows nothing: it scores the floor on every test set of its task."""
    return Grid(
        {
            name: Cell(
                name,
                cell.stage,
                {seed: _lowest(run, _alike(grid, cell)) for seed, run in cell.runs.items()},
                [fault for fault in cell.faults if not fault.diverged],
            )
            for name, cell in grid.cells.items()
        },
        grid.seeds,
    )


def _alike(grid: Grid, cell: Cell) -> dict[str, TestSet]:
    """Every test set of a model's task as some usable run has it."""
    tests: dict[str, TestSet] = {}
    for other in grid.cells.values():
        if not other.problems and (other.stage == "pretrain") == (cell.stage == "pretrain"):
            for run in other.runs.values():
                tests = {name: test for name, test in run.tests.items() if test.digest} | tests
    return tests


def _lowest(run: Run, tests: dict[str, TestSet]) -> Run:
    if run.uniform_loss is None:
        return run
    lowest = {
        name: replace(
            test,
            counts={metric: floor(metric, counts) for metric, counts in test.counts.items()},
            figures=test.figures | {"loss": run.uniform_loss},
            hypotheses=[],
            errors=[],
        )
        for name, test in tests.items()
    }
    return replace(run, tests=lowest)
