"""The tables of the report as plain, rounded records: one for each model, and the curves, lengths and sentences beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison import bodies, intrinsic, sense_controls, transfers
from translab.comparison.differences import comparable, differences, like_base, measured
from translab.comparison.evidence import Evidence
from translab.comparison.results import BASE, Cell, Grid, Run
from translab.comparison.rounding import rounded
from translab.comparison.sufficient import score
from translab.comparison.testsets import TEST_SET
from translab.comparison.thresholds import updates_to_threshold

FIGURES = {"length_ratio": "ratio", "perplexity": "bleu", "accuracy": "ratio"}
"""Further figures of a test set that `scores.json` holds, and how they are rounded."""


def model_records(
    grid: Grid, evidence: Sequence[Evidence], stage: str, metric: str, values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One record for each model of a stage, in the grid's order.

    A model on fewer pairs of B than the base is not compared with it, nor counted in the base's family of comparisons: it would
    be tested for its pairs, and make the others' p values larger. `against_scratch` compares it with its like.

    Args:
        grid: all results.
        evidence: that of the primary test set.
        stage: `ablate`, `finetune` or `pretrain`.
        metric: in which models are compared with the base.
        values: what the stage declares: `methods` and `statistics` are used.
    """
    confidence = values["statistics"]["confidence"]
    names = [name for name, cell in grid.cells.items() if cell.stage == stage]
    compared = differences(comparable(grid, names), evidence, metric, confidence)
    updates = updates_to_threshold(grid, confidence) if stage != "pretrain" else {}
    controls = [name for name in names if transfers.untrained(values["methods"].get(name, {}))]
    apart = (
        sense_controls.against_controls([grid.cells[name] for name in names], controls, confidence)
        if stage == "pretrain"
        else {}
    )
    records = []
    for name in names:
        cell = grid.cells[name]
        record = _identity(cell, grid.seeds) | transfers.identity(cell, values["methods"])
        for piece in evidence:
            if name in piece.names:
                record |= _scores(name, piece, confidence)
                record |= {key: _mean(_figure(cell, key), quantity) for key, quantity in FIGURES.items()}
                record["bleu_by_tokeniser"] = _by_tokeniser(cell)
        record["difference"] = compared.get(name)
        if stage == "pretrain":
            record["untrained"] = name in controls
            record["intrinsic"] = intrinsic.record(cell, confidence)
            if name in apart:
                record["intrinsic"]["senses"] |= apart[name]
        else:
            record["updates_to_threshold"] = updates.get(name)
            record["like_base"] = like_base(grid, cell)
        if stage == "ablate":
            record |= bodies.identity(cell, confidence)
        records.append(record)
    return records


def _identity(cell: Cell, seeds: Sequence[int]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": cell.name,
        "axis": None,
        "value": None,
        "method": None,
        "shallow_layers": None,
        "frozen": None,
    }
    run = cell.first
    if run is not None:
        transfer = run.config["transfer"]
        record |= {
            "axis": run.config["axis"],
            "value": axis_values(run),
            "method": transfer["source"] if transfer else run.config["method"],
            "shallow_layers": transfer["shallow_layers"] if transfer else None,
            "frozen": transfer["train"] == "never" if transfer else None,
            "corpus": run.config["corpus"],
            "training_pairs": run.config["values"]["data"]["training_pairs"],
            "parameters": run.metrics["parameters"],
            "best_valid_loss": _mean([run.metrics["best_valid_loss"] for run in cell.runs.values()], "loss"),
            "train_loss": _mean([_train_loss_at_best(run) for run in cell.runs.values()], "loss"),
            "updates": round(sum(run.metrics["updates"] for run in cell.runs.values()) / len(cell.runs)),
        }
    return record | {
        "seeds": list(seeds),
        "problems": cell.problems,
        "scores": {},
        "difference": None,
        **dict.fromkeys(FIGURES),
    }


def axis_values(run: Run) -> str | None:
    """What a variant sets its axis to, as text: `2` for `model.heads`; several joined by a comma."""
    if run.config["axis"] is None:
        return None
    values = []
    for path in run.config["axis"].split("+"):
        value: Any = run.config["values"]
        for part in path.split("."):
            value = value[part]
        values.append(str(value).lower() if isinstance(value, bool) else str(value))
    return ", ".join(values)


def _train_loss_at_best(run: Run) -> float | None:
    """The training loss when the validation loss was lowest: beside it, over-fitting shows."""
    rows = [row for row in run.history if row.get("step") == run.metrics["best_step"]]
    return rows[0].get("train_loss") if rows else None


def _scores(name: str, piece: Evidence, confidence: float) -> dict[str, Any]:
    scores = {
        metric: measured(piece, name, metric, confidence)
        | {
            "s_sel": rounded(named[name].sentence_deviation, metric),
            "s_opt": rounded(named[name].seed_deviation, metric),
        }
        for metric, named in piece.measurements.items()
    }
    return {"scores": scores, "test_set": TEST_SET, "sentences": piece.sentences}


def _figure(cell: Cell, key: str) -> list[float | None]:
    return [run.tests[TEST_SET].figures.get(key) for run in cell.runs.values()]


def _by_tokeniser(cell: Cell) -> dict[str, float | None]:
    """Mean BLEU with each tokeniser; the first one is the primary."""
    figures: list[dict[str, Any]] = [run.tests[TEST_SET].figures.get("bleu", {}) for run in cell.runs.values()]
    return {tokeniser: _mean([bleu[tokeniser]["score"] for bleu in figures], "bleu") for tokeniser in figures[0]}


def _mean(values: Sequence[float | None], quantity: str) -> float | None:
    present = [value for value in values if value is not None]
    return rounded(sum(present) / len(present), quantity) if present and len(present) == len(values) else None


def metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Name to its main figures: what `dvc metrics show` and `dvc metrics diff` print."""
    table: dict[str, dict[str, float]] = {}
    for record in records:
        if record["problems"]:
            continue
        figures = {
            metric: record["scores"][metric]["mean"] for metric in ("acceptance", "bleu", "chrf") if metric in record["scores"]
        }
        figures["valid_loss"] = record.get("best_valid_loss")
        table[record["name"]] = {key: value for key, value in figures.items() if value is not None}
    return table


def curves(grid: Grid) -> list[dict[str, Any]]:
    """Mean losses over seeds at every step that all seeds reached, one record for each name and step."""
    rows = []
    for name, cell in grid.cells.items():
        if cell.problems:
            continue
        histories = [{int(row["step"]): row for row in run.history} for run in cell.runs.values()]
        for step in sorted(set.intersection(*(set(history) for history in histories))):
            losses = {
                key: _mean([history[step].get(key) for history in histories], "loss") for key in ("train_loss", "valid_loss")
            }
            rows.append({"name": name, "step": step, **losses})
    return rows


def lengths(grid: Grid, metric: str) -> dict[str, list[dict[str, Any]]]:
    """Name to its mean score in each bucket of sentence length, in source words."""
    table = {}
    for name, cell in grid.usable(TEST_SET).items():
        tests = [run.tests[TEST_SET] for run in cell.runs.values()]
        if cell.stage == "pretrain" or any(metric not in test.counts for test in tests):
            continue
        words = np.array([len(source.split()) for source in tests[0].sources])
        buckets = []
        for bucket in tests[0].figures["by_length"]:
            inside = (words >= bucket["lower"]) & (words <= (bucket["upper"] or words.max()))
            made = [score(metric, test.counts[metric][inside].sum(axis=0)) for test in tests]
            buckets.append({key: bucket[key] for key in ("lower", "upper", "sentences")} | {"score": _mean(made, metric)})
        table[name] = buckets
    return table


def examples(grid: Grid, number: int) -> dict[str, list[dict[str, Any]]]:
    """Translations by each model's first seed: the test set's first sentences, and those on which the models disagree most.

    Args:
        grid: all results.
        number: sentences of each kind.
    """
    outputs = {
        name: cell.first.tests[TEST_SET]
        for name, cell in grid.usable(TEST_SET).items()
        if cell.stage != "pretrain" and cell.first is not None and cell.first.tests[TEST_SET].hypotheses
    }
    if BASE not in outputs:
        return {"first": [], "disagreeing": []}
    sentences = range(len(outputs[BASE].hypotheses))
    distinct = {index: len({test.hypotheses[index] for test in outputs.values()}) for index in sentences}
    first = list(sentences)[:number]
    disagreeing = sorted((index for index in sentences if index not in first), key=lambda index: (-distinct[index], index))

    def example(index: int) -> dict[str, Any]:
        base = outputs[BASE]
        groups: dict[str, list[str]] = {base.hypotheses[index]: []}
        right = set()
        for name, test in outputs.items():
            groups.setdefault(test.hypotheses[index], []).append(name)
            if test.counts.get("acceptance", test.counts["exact"])[index, 0] == 1:
                right.add(test.hypotheses[index])
        return {
            "index": index,
            "source": base.sources[index],
            "reference": base.references[index],
            "translations": [{"text": text, "names": names, "right": text in right} for text, names in groups.items()],
        }

    return {
        "first": [example(index) for index in first],
        "disagreeing": [example(index) for index in sorted(disagreeing[:number])],
    }
