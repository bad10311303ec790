"""What the runs of the grid scored: read from the files of evaluation and training, and refused where they do not fit together.

Only the names and seeds that `params.yaml` expands to are read, never what happens to lie in a folder. A run that is missing,
broken, diverged or scored on other sentences is a *problem* of its name: it is stated, and the name takes part in no
comparison, because a mean over the remaining seeds would answer another question.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from translab import files
from translab.comparison.sufficient import COUNTS, Array, score

COLUMNS = {"bleu": ["bleu_statistics"], "chrf": ["chrf_statistics"], "ter": ["ter_edits", "ter_reference_length"]}


class ResultsError(ValueError):
    """Results cannot be read or do not fit together; the message says which and what to do."""


@dataclass(frozen=True)
class TestSet:
    """One run's translations of one test set."""

    digest: str
    """Of sources and references: equal digests are the same test set."""
    sources: list[str]
    references: list[str]
    hypotheses: list[str]
    counts: dict[str, Array]
    """Metric to sufficient statistics [M, K]."""
    figures: dict[str, Any]
    """What `scores.json` says about this test set."""

    @property
    def scores(self) -> dict[str, float]:
        """Metric to score: those made of sentences in percent, the loss in nats per token."""
        made = {metric: score(metric, counts.sum(axis=0)) for metric, counts in self.counts.items()}
        return made | {"loss": float(self.figures["loss"])}


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


@dataclass
class Cell:
    """One model with all its seeds."""

    name: str
    stage: str
    """`pretrain`, `ablate` or `finetune`."""
    runs: dict[int, Run] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Whatever keeps this model out of every comparison."""

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

    @property
    def problems(self) -> list[str]:
        """All problems, in the grid's order."""
        return [problem for cell in self.cells.values() for problem in cell.problems]


def read_grid(names: Sequence[tuple[str, str]], seeds: Sequence[int], data: Path) -> Grid:
    """Read every run.

    Args:
        names: (name, stage) of every model; the stage is `pretrain`, `ablate` or `finetune`.
        seeds: the seeds that every model must have.
        data: the folder that holds `runs/` and `evaluations/`.
    """
    cells = {name: Cell(name, stage) for name, stage in names}
    for cell in cells.values():
        for seed in seeds:
            try:
                run = _read_run(cell.name, seed, data)
            except ResultsError as error:
                cell.problems.append(str(error))
            else:
                cell.runs[seed] = run
                cell.problems.extend(_divergence(run))
    for task in ("a", "b"):
        same = [cell for cell in cells.values() if (cell.stage == "pretrain") == (task == "a")]
        _name_other_test_sets(same)
    return Grid(cells, list(seeds))


def _read_run(name: str, seed: int, data: Path) -> Run:
    evaluation, folder = data / "evaluations" / name / str(seed), data / "runs" / name / str(seed)
    for path in (folder / "config.json", folder / "metrics.json", folder / "history.csv", evaluation / "scores.json"):
        if not path.is_file():
            raise ResultsError(f"{name}, seed {seed}: {path} is missing; run `make repro`.")
    figures = files.read_json(evaluation / "scores.json")["test_sets"]
    table = evaluation / "sentences.parquet"
    tests = dict(_read_tests(files.read_table(table), figures, f"{name}, seed {seed}: {table}")) if table.is_file() else {}
    if not tests and any("bleu" in values for values in figures.values()):
        raise ResultsError(f"{name}, seed {seed}: {table} is missing although scores.json has BLEU; run `make repro`.")
    if not table.is_file():
        tests = {test_set: TestSet("", [], [], [], {}, values) for test_set, values in figures.items()}
    attention = evaluation / "attention.json"
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        history = [{key: float(value) for key, value in row.items() if _is_number(value)} for row in csv.DictReader(file)]
    return Run(
        name,
        seed,
        files.read_json(folder / "config.json"),
        files.read_json(folder / "metrics.json"),
        history,
        tests,
        files.read_json(attention) if attention.is_file() else [],
    )


def _read_tests(table: pa.Table, figures: dict[str, Any], where: str) -> Iterator[tuple[str, TestSet]]:
    for test_set, values in figures.items():
        rows = table.filter(pa.compute.equal(table["test_set"], test_set)).sort_by("index")
        if rows.num_rows != values["sentences"]:
            raise ResultsError(
                f"{where} has {rows.num_rows} sentences of test set `{test_set}`, scores.json {values['sentences']}; "
                f"delete the folder and run `make repro`."
            )
        sources, references = rows["source"].to_pylist(), rows["reference"].to_pylist()
        counts = {metric: _counts(rows, metric) for metric in COLUMNS}
        exact = rows["exact"].to_numpy().astype(np.float64)
        counts["exact"] = np.stack([exact, np.ones_like(exact)], axis=1)
        _check_scores(counts, values, f"{where}, test set `{test_set}`")
        digest = hashlib.sha256(json.dumps([sources, references]).encode()).hexdigest()
        yield test_set, TestSet(digest, sources, references, rows["hypothesis"].to_pylist(), counts, values)


def _check_scores(counts: dict[str, Array], values: dict[str, Any], where: str) -> None:
    """Refuse statistics that do not give the scores they were stored beside."""
    stored = {"bleu": next(iter(values["bleu"].values())), "chrf": values["chrf"], "ter": values["ter"]}
    for metric, figure in stored.items():
        made = score(metric, counts[metric].sum(axis=0))
        if not math.isclose(made, figure["score"], rel_tol=1e-9, abs_tol=1e-9):
            raise ResultsError(
                f"{where}: the sentences' statistics give {metric} {made}, scores.json has {figure['score']}; "
                f"delete the folder and run `make repro`."
            )


def _counts(rows: pa.Table, metric: str) -> Array:
    columns = COLUMNS[metric]
    if len(columns) == 1:
        return np.array(rows[columns[0]].to_pylist(), dtype=np.float64).reshape(-1, COUNTS[metric])
    return np.stack([rows[column].to_numpy() for column in columns], axis=1).astype(np.float64)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _divergence(run: Run) -> Iterator[str]:
    loss = run.metrics["best_valid_loss"]
    if loss is None or not math.isfinite(loss):
        yield f"{run.name}, seed {run.seed}: training diverged (its best validation loss is {loss}); lower the learning rate."


def _name_other_test_sets(cells: Sequence[Cell]) -> None:
    """Models of one task must have translated the same sentences; those that most runs have are taken for the right ones."""
    runs = [(cell, run) for cell in cells for run in cell.runs.values()]
    for test_set in dict.fromkeys(name for _, run in runs for name in run.tests):
        having = [(cell, run) for cell, run in runs if test_set in run.tests and run.tests[test_set].digest]
        if not having:
            continue
        (usual, count), *_ = Counter(run.tests[test_set].digest for _, run in having).most_common()
        for cell, run in having:
            if run.tests[test_set].digest != usual:
                cell.problems.append(
                    f"{run.name}, seed {run.seed}: the sources or references of test set `{test_set}` differ from those of "
                    f"{count} other runs; evaluate it again with `dvc repro`."
                )
