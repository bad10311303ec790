"""The tables of the report as plain, rounded records: one for each model, and the curves, lengths and sentences beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.evidence import PRIMARY, Evidence
from translab.comparison.results import Cell, Grid, Run
from translab.comparison.rounding import BETTER, rounded
from translab.comparison.statistics import Effect, holm

BASE = "base"
"""The variant that all others are compared with."""

TEST_SET = "test"
"""The primary test set."""


FIGURES = {"length_ratio": "ratio", "perplexity": "bleu", "accuracy": "ratio"}
"""Further figures of a test set that `scores.json` holds, and how they are rounded."""


def model_records(grid: Grid, evidence: Sequence[Evidence], stage: str, confidence: float) -> list[dict[str, Any]]:
    """One record for each model of a stage, in the grid's order.

    Args:
        grid: all results.
        evidence: that of the primary test set.
        stage: `ablate`, `finetune` or `pretrain`.
        confidence: level of the intervals.
    """
    names = [name for name, cell in grid.cells.items() if cell.stage == stage]
    differences = _differences(names, evidence)
    adjusted = dict(zip(differences, holm([effect.p() for effect in differences.values()]), strict=True))
    records = []
    for name in names:
        pieces = [piece for piece in evidence if name in piece.measurements["loss"]]
        record = _identity(grid.cells[name], grid.seeds)
        if pieces:
            record |= _scores(name, pieces[0], confidence)
            record |= {key: _mean(_figure(grid.cells[name], key), quantity) for key, quantity in FIGURES.items()}
            record["bleu_by_tokeniser"] = _by_tokeniser(grid.cells[name])
        if name in differences:
            record["difference"] = _difference(
                differences[name], adjusted[name], confidence, len(differences), _offsets(name, pieces[0])
            )
        elif name != BASE and pieces and PRIMARY in pieces[0].measurements and BASE in pieces[0].measurements[PRIMARY]:
            record["difference"] = {
                "estimate": rounded(pieces[0].estimate({name: 1, BASE: -1}, PRIMARY), PRIMARY),
                "raw": _offsets(name, pieces[0]),
                "word": "not decidable",
            }
        records.append(record)
    return records


def _differences(names: Sequence[str], evidence: Sequence[Evidence]) -> dict[str, Effect]:
    found: dict[str, Effect] = {}
    for piece in evidence:
        measured = piece.measurements.get(PRIMARY, {})
        for name in names:
            if name in measured and name != BASE and BASE in measured:
                effect = piece.effect({name: 1, BASE: -1}, PRIMARY)
                if effect is not None:
                    found[name] = effect
    return {name: found[name] for name in names if name in found}


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
            "frozen": not transfer["train"] if transfer else None,
            "corpus": run.config["corpus"],
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
    scores: dict[str, Any] = {}
    for metric, named in piece.measurements.items():
        if name in named:
            effect = piece.effect({name: 1}, metric)
            scores[metric] = {
                "mean": rounded(piece.estimate({name: 1}, metric), metric),
                "interval": [rounded(bound, metric) for bound in effect.interval(confidence)] if effect else None,
                "s_sel": rounded(named[name].sentence_deviation, metric),
                "s_opt": rounded(named[name].seed_deviation, metric),
                "raw": [rounded(value, metric) for value in named[name].raw],
            }
    return {"scores": scores, "test_set": TEST_SET, "sentences": piece.sentences}


def _offsets(name: str, piece: Evidence) -> list[float | None]:
    """Each seed's score less the base's mean: the dots of the forest plot."""
    base = piece.estimate({BASE: 1}, PRIMARY)
    return [rounded(score - base, PRIMARY) for score in piece.measurements[PRIMARY][name].raw]


def _difference(
    effect: Effect, p_adjusted: float, confidence: float, family_size: int, offsets: list[float | None]
) -> dict[str, Any]:
    alpha = 1 - confidence
    word = "better" if effect.estimate * BETTER[PRIMARY] > 0 else "worse"
    if p_adjusted >= alpha:
        word = f"perhaps {word}" if effect.p() < alpha else "no clear difference"
    return {
        "metric": PRIMARY,
        "estimate": rounded(effect.estimate, PRIMARY),
        "interval": [rounded(bound, PRIMARY) for bound in effect.interval(confidence)],
        "p": rounded(effect.p(), "p"),
        "p_adjusted": rounded(p_adjusted, "p"),
        "minimum_detectable_effect": rounded(effect.minimum_detectable(alpha / family_size), PRIMARY),
        "raw": offsets,
        "word": word,
    }


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
        figures = {metric: record["scores"][metric]["mean"] for metric in ("bleu", "chrf") if metric in record["scores"]}
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


def lengths(grid: Grid) -> dict[str, list[dict[str, Any]]]:
    """Name to its mean BLEU in each bucket of sentence length."""
    table = {}
    for name, cell in grid.usable(TEST_SET).items():
        buckets = [run.tests[TEST_SET].figures.get("by_length", []) for run in cell.runs.values()]
        if cell.stage != "pretrain" and all(buckets):
            table[name] = [
                {
                    "lower": same[0]["lower"],
                    "upper": same[0]["upper"],
                    "sentences": same[0]["sentences"],
                    "bleu": _mean([bucket["bleu"] for bucket in same], "bleu"),
                }
                for same in zip(*buckets, strict=True)
            ]
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
        for name, test in outputs.items():
            groups.setdefault(test.hypotheses[index], []).append(name)
        return {
            "index": index,
            "source": base.sources[index],
            "reference": base.references[index],
            "translations": [
                {"text": text, "names": names, "exact": text == base.references[index]} for text, names in groups.items()
            ],
        }

    return {
        "first": [example(index) for index in first],
        "disagreeing": [example(index) for index in sorted(disagreeing[:number])],
    }
