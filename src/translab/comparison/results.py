"""What the runs of the grid scored: read from the files of evaluation and training, and refused where they do not fit together.

Only the names and seeds that `params.yaml` expands to are read, never what happens to lie in a folder. A run that is missing,
broken, diverged or scored on other sentences is a *problem* of its name: it is stated, and the name takes part in no
comparison, because a mean over the remaining seeds would answer another question.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from translab import files
from translab.comparison.items import ITEM_COLUMNS, read_probes
from translab.comparison.shared import Shared
from translab.comparison.testsets import PART, ResultsError, TestSet, read_test_sets

BASE = "base"
"""The variant that all others are compared with."""


@dataclass(frozen=True)
class Run:
    """One model trained with one seed."""

    name: str
    seed: int
    config: dict[str, Any]
    metrics: dict[str, Any]
    history: list[dict[str, float]]
    tests: dict[str, TestSet]
    attention: list[dict[str, Any]]
    """Maps of cross-attention; of each model's first seed alone."""
    memory: list[dict[str, Any]]
    """{distance, norm, sentences}: how strongly a type still moves the encoder's state so many types later; empty on task A."""
    intrinsic: dict[str, Any] | None
    """`intrinsic.json`: what a method of pretraining learned, measured on task A."""
    senses: list[dict[str, Any]]
    """`senses.parquet`: {form, sense, fold, x, y}, the vectors of one word in two dimensions."""
    heads: dict[str, Any] | None = None
    """`heads` of scores.json: what the model loses without each of its heads."""
    uniform_loss: float | None = None
    """Of a diverged run: the loss of guessing every target type alike, in nats."""


@dataclass(frozen=True)
class Fault:
    """Why one run cannot be used."""

    seed: int
    sentence: str
    diverged: bool = False
    """Its training diverged, which a claim may take for its result."""


@dataclass
class Cell:
    """One model with all its seeds."""

    name: str
    stage: str
    """`pretrain`, `ablate` or `finetune`."""
    runs: dict[int, Run] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Whatever keeps this model out of every comparison."""
        return [fault.sentence for fault in self.faults]

    @property
    def first(self) -> Run | None:
        """The run with the first seed."""
        return next(iter(self.runs.values()), None)


@dataclass(frozen=True)
class Grid:
    """Every model that was asked for, in the order of `params.yaml`."""

    cells: dict[str, Cell]
    seeds: list[int]

    def usable(self, test_set: str) -> dict[str, Cell]:
        """The models without problems that were scored on a test set."""
        return {
            name: cell
            for name, cell in self.cells.items()
            if not cell.problems and cell.runs and all(test_set in run.tests for run in cell.runs.values())
        }

    @cached_property
    def test_sets(self) -> list[str]:
        """Every test set that a run was scored on, probes and their parts included."""
        return list(dict.fromkeys(name for cell in self.cells.values() for run in cell.runs.values() for name in run.tests))

    @property
    def problems(self) -> list[str]:
        """All problems, in the grid's order."""
        return [problem for cell in self.cells.values() for problem in cell.problems]


class Recount(Protocol):
    """Makes what evaluation stored of each sentence anew, from the translations themselves."""

    def sentences(self, table: pa.Table, config: Mapping[str, Any], figures: Mapping[str, Any], where: str) -> pa.Table:
        """`sentences.parquet` with its statistics made anew.

        Args:
            table: the file.
            config: the run's config.json.
            figures: `test_sets` of its scores.json.
            where: run and file, for messages.

        Raises:
            ResultsError: if the sentences are not those of the task.
        """

    def items(self, table: pa.Table, config: Mapping[str, Any], where: str) -> pa.Table:
        """`probes.parquet` with its answers judged anew."""


def read_grid(names: Sequence[tuple[str, str]], seeds: Sequence[int], data: Path, recount: Recount | None = None) -> Grid:
    """Read every run.

    Args:
        names: (name, stage) of every model; the stage is `pretrain`, `ablate` or `finetune`.
        seeds: the seeds that every model must have.
        data: the folder that holds `runs/` and `evaluations/`.
        recount: makes the sentences' statistics anew; None to take those that are stored.
    """
    cells = {name: Cell(name, stage) for name, stage in names}
    shared = Shared()
    for cell in cells.values():
        for seed in seeds:
            try:
                run = _read_run(cell.name, seed, data, shared, recount, first=seed == seeds[0])
            except ResultsError as error:
                cell.faults.append(Fault(seed, str(error)))
            else:
                cell.runs[seed] = run
                cell.faults.extend(_divergence(run))
        cell.faults.extend(_unmeasured(cell))
    for task in ("a", "b"):
        same = [cell for cell in cells.values() if (cell.stage == "pretrain") == (task == "a")]
        _name_other_test_sets(same)
    return Grid(cells, list(seeds))


def _read_run(name: str, seed: int, data: Path, shared: Shared, recount: Recount | None, first: bool) -> Run:
    evaluation, folder = data / "evaluations" / name / str(seed), data / "runs" / name / str(seed)
    for path in (folder / "config.json", folder / "metrics.json", folder / "history.csv", evaluation / "scores.json"):
        if not path.is_file():
            raise ResultsError(f"{name}, seed {seed}: {path} is missing; run `make repro`.")
    scores = files.read_json(evaluation / "scores.json")
    config = files.read_json(folder / "config.json")
    tests = _read_tests(evaluation, scores, config, f"{name}, seed {seed}", shared, recount)
    attention, intrinsic, senses = (evaluation / file for file in ("attention.json", "intrinsic.json", "senses.parquet"))
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        history = [{key: float(value) for key, value in row.items() if _is_number(value)} for row in csv.DictReader(file)]
    metrics = files.read_json(folder / "metrics.json")
    return Run(
        name,
        seed,
        config,
        metrics,
        history,
        tests,
        files.read_json(attention) if first and attention.is_file() else [],
        scores.get("memory") or [],
        files.read_json(intrinsic) if intrinsic.is_file() else None,
        files.read_table(senses).to_pylist() if senses.is_file() else [],
        scores.get("heads"),
        None if metrics["diverged_at"] is None else _uniform_loss(folder / "target.json"),
    )


def _uniform_loss(vocabulary: Path) -> float:
    return math.log(len(files.read_json(vocabulary)["model"]["vocab"]))


def _read_tests(
    evaluation: Path,
    scores: Mapping[str, Any],
    config: Mapping[str, Any],
    where: str,
    shared: Shared,
    recount: Recount | None,
) -> dict[str, TestSet]:
    figures, probes = scores["test_sets"], scores.get("probes", {})
    sentences, items = evaluation / "sentences.parquet", evaluation / "probes.parquet"
    if not sentences.is_file() and any("bleu" in values for values in figures.values()):
        raise ResultsError(f"{where}: {sentences} is missing although scores.json has BLEU; run `make repro`.")
    if not items.is_file() and probes:
        raise ResultsError(f"{where}: {items} is missing although scores.json has probes; run `make repro`.")
    if not sentences.is_file():
        return {test_set: TestSet("", [], [], [], {}, values) for test_set, values in figures.items()}
    table, here = files.read_table(sentences), f"{where}: {sentences}"
    told = recount.sentences(table, config, figures, here) if recount else table
    tests = dict(read_test_sets(told, figures, here, shared))
    if probes:
        here = f"{where}: {items}"
        answers = recount.items(files.read_table(items), config, here) if recount else files.read_table(items, ITEM_COLUMNS)
        tests |= read_probes(answers, probes, here, shared)
    return tests


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _divergence(run: Run) -> Iterator[Fault]:
    loss, step = run.metrics["best_valid_loss"], run.metrics["diverged_at"]
    where = f"{run.name}, seed {run.seed}"
    if step is not None:
        yield Fault(run.seed, f"{where}: training diverged at update {step}; lower the learning rate.", diverged=True)
    elif run.metrics["updates"] and (loss is None or not math.isfinite(loss)):
        # What is not trained, such as a control that predicts nothing, has no loss to look at.
        yield Fault(run.seed, f"{where}: there is no best validation loss (it is {loss}); train it again with `make repro`.")


def _unmeasured(cell: Cell) -> Iterator[Fault]:
    """Seeds without intrinsic measures beside seeds that have them."""
    having = [seed for seed, run in cell.runs.items() if run.intrinsic is not None]
    for seed in cell.runs:
        if having and seed not in having:
            yield Fault(
                seed,
                f"{cell.name}, seed {seed}: there is no intrinsic.json although seed {having[0]} has one; "
                f"measure it again with `dvc repro`.",
            )


def _name_other_test_sets(cells: Sequence[Cell]) -> None:
    """Models of one task must have translated the same sentences; those that most runs have are taken for the right ones."""
    runs = [(cell, run) for cell in cells for run in cell.runs.values()]
    for test_set in dict.fromkeys(name for _, run in runs for name in run.tests if PART not in name):
        having = [(cell, run) for cell, run in runs if test_set in run.tests and run.tests[test_set].digest]
        if not having:
            continue
        (usual, count), *_ = Counter(run.tests[test_set].digest for _, run in having).most_common()
        for cell, run in having:
            if run.tests[test_set].digest != usual:
                cell.faults.append(
                    Fault(
                        run.seed,
                        f"{run.name}, seed {run.seed}: the sources, references or metrics of test set `{test_set}` differ from "
                        f"those of {count} other runs; evaluate it again with `dvc repro`.",
                    )
                )
