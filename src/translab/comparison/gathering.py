"""Evidence when it is asked for, gathered once: on any test set, at any number of seeds, with diverged runs as results or not.

Test sets that are none are gathered here as well. On `training` a run has one number of each kind, without sentences:

    gap          last validation loss − last training loss, nats
    weight_norm  norm of all weights at the end
    padding      share of positions that were padding, percent
    updates      to the best validation loss of the base (thresholds.py)

On `senses` the unit is the form, a word with two senses, and every form is one unit that is resampled:

    auc               how far its occurrences lie apart by sense, of vectors in their sentence, or of static vectors (1/2)
    auc_over_context  the same minus that of the mean of the static vectors around it
    cosine            between the mean vectors of its senses; `cosine_centred`: after the mean of all occurrences was taken away
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.evidence import Evidence, Measurement, gather, resampled
from translab.comparison.metrics import SENSES, TRAINING
from translab.comparison.results import Cell, Grid, Run
from translab.comparison.selection import first_seeds, with_outcomes
from translab.comparison.testsets import TestSet, digest
from translab.comparison.thresholds import Arrival, arrivals, bounded

UPDATES = "updates"
"""The metric whose values may be known by a bound alone."""

FORMS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, float] | None]] = {
    "auc": lambda senses: senses.get("contextual") or senses.get("static"),
    "auc_over_context": lambda senses: _minus(senses.get("contextual"), senses.get("context_mean")),
    "cosine": lambda senses: senses.get("cosine"),
    "cosine_centred": lambda senses: senses.get("cosine_centred"),
}
"""Metric to what `senses` of intrinsic.json says of each form; None where the method has no such vectors."""


class Gathering:
    """The grid and the evidence that follows from it."""

    def __init__(self, grid: Grid, number: int, seed: int) -> None:
        """
        Args:
            grid: all results.
            number: R, how many resamples.
            seed: of the resampling.
        """
        self.grid = grid
        self._number, self._seed = number, seed
        self._diverged = any(fault.diverged for cell in grid.cells.values() for fault in cell.faults)
        self._grids: dict[tuple[int, bool], Grid] = {}
        self._evidence: dict[tuple[str, int, bool], list[Evidence]] = {}
        self._arrivals: dict[tuple[int, bool], dict[str, list[Arrival]]] = {}

    def at(self, seeds: int, outcomes: bool = False) -> Grid:
        """The grid with its first seeds alone, a diverged run as a problem or as a result."""
        key = (seeds, outcomes and self._diverged)
        if key not in self._grids:
            chosen = self.grid if seeds >= len(self.grid.seeds) else first_seeds(self.grid, seeds)
            self._grids[key] = with_outcomes(chosen) if key[1] else chosen
        return self._grids[key]

    def evidence(self, test_set: str, seeds: int, outcomes: bool = False) -> list[Evidence]:
        """The evidence on a test set, one piece for each group of models that were measured on the same sentences."""
        key = (test_set, seeds, outcomes and self._diverged)
        if key not in self._evidence:
            grid = self.at(seeds, outcomes)
            if test_set == TRAINING:
                self._evidence[key] = [Evidence(_training(grid), 0)]
            elif test_set == SENSES:
                self._evidence[key] = [
                    piece for metric in FORMS for piece in resampled(_forms(grid, metric), self._number, self._seed)
                ]
            else:
                self._evidence[key] = gather(grid, test_set, self._number, self._seed)
        return self._evidence[key]

    def updates(self, against: Mapping[str, bool], seeds: int, outcomes: bool = False) -> tuple[Evidence | None, list[str]]:
        """Updates to the threshold of some models, each censored run at its bound.

        Args:
            against: name to whether more updates of this model speak against what is claimed.
            seeds: how many of the first seeds.
            outcomes: whether a diverged run is a result.

        Returns:
            The evidence, None where there is no threshold; and the models with a run whose bound would speak for the claim,
            which it therefore lacks.
        """
        key = (seeds, outcomes and self._diverged)
        if key not in self._arrivals:
            found = arrivals(self.at(seeds, outcomes))
            self._arrivals[key] = found[1] if found else {}
        known = self._arrivals[key]
        if not known:
            return None, []
        values = {
            name: times
            for name, runs in known.items()
            if (times := bounded(runs, against[name]) if name in against else _certain(runs)) is not None
        }
        evidence = Evidence({UPDATES: {name: Measurement(times, None) for name, times in values.items()}}, 0)
        return evidence, [name for name in against if name in known and name not in values]

    def is_certain(self, names: Sequence[str], seeds: int, outcomes: bool = False) -> bool:
        """Whether no run of some models is censored; asked after `updates`."""
        known = self._arrivals[(seeds, outcomes and self._diverged)]
        return all(_certain(known[name]) is not None for name in names)


def _certain(runs: Sequence[Arrival]) -> list[float] | None:
    times = [run.update for run in runs if run.update is not None]
    return times if len(times) == len(runs) else None


def _training(grid: Grid) -> dict[str, dict[str, Measurement]]:
    """Metric to name to what each run of task B measured while it was trained."""
    found: dict[str, dict[str, Measurement]] = {"gap": {}, "weight_norm": {}, "padding": {}}
    for name, cell in grid.cells.items():
        if cell.stage != "pretrain" and cell.runs and not cell.problems:
            by_metric = [_measures(run) for run in cell.runs.values()]
            for metric, named in found.items():
                values = [measures[metric] for measures in by_metric if measures[metric] is not None]
                if len(values) == len(by_metric):
                    named[name] = Measurement(values, None)
    return found


def _measures(run: Run) -> dict[str, Any]:
    validation, training = run.metrics["last_valid_loss"], run.metrics["last_train_loss"]
    padding = run.metrics.get("padding")
    return {
        "gap": None if validation is None or training is None else validation - training,
        "weight_norm": run.history[-1].get("weight_norm") if run.history else None,
        "padding": None if padding is None else 100 * padding,
    }


def _forms(grid: Grid, metric: str) -> dict[str, list[TestSet]]:
    """Name of each method to one number for each form, a set a seed."""
    return {name: made for name, cell in grid.cells.items() if not cell.problems and (made := _by_form(cell, metric))}


def _by_form(cell: Cell, metric: str) -> list[TestSet]:
    """Empty unless every seed has such numbers."""
    senses = [(run.intrinsic or {}).get("senses") or {} for run in cell.runs.values()]
    values: list[Mapping[str, float]] = [found for seed in senses if (found := FORMS[metric](seed))]
    if not values or len(values) < len(cell.runs):
        return []
    forms = [form for form in values[0] if all(form in found for found in values)]
    counts = [np.array([[found[form], 1.0] for form in forms]) for found in values]  # [W, 2]
    return [TestSet(digest(forms), [], [], [], {metric: table}, {"sentences": len(forms)}) for table in counts]


def _minus(one: Mapping[str, float] | None, other: Mapping[str, float] | None) -> dict[str, float] | None:
    """The difference of each form that both have."""
    return {form: value - other[form] for form, value in one.items() if form in other} if one and other else None
