"""Evaluation of one trained model: translate the test sets of its task, score, and look inside.

A source that is longer than the model's positions is cut, and counted in `cut_sources`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from translab.config import Decoding, Machine, Run
from translab.decoding import translate
from translab.evaluation.scoring import corpus_scores, sentence_statistics
from translab.files import read_table, whole, write_json, write_table
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.objective import Measure, Objective
from translab.pretraining.translation import Translation
from translab.runs import load_objective, load_run
from translab.text.batching import bucketed, collate, fitting, pad
from translab.text.bpe import END, START, decode, encode

logger = logging.getLogger(__name__)

ATTENTION_SENTENCES = 4
"""Sentences of the primary test set whose cross-attention is kept."""


class EvaluationError(ValueError):
    """A model or a test set is not there."""


def evaluate(
    name: str, seeds: Sequence[int], *, runs: Path, text: Path, folder: Path, decoding: Decoding, machine: Machine
) -> None:
    """Evaluate all seeds of one model and write `<folder>/<seed>/`, whole or not at all.

    Args:
        name: the model's name.
        seeds: which seeds.
        runs: folder that holds `<seed>/` run folders of this model.
        text: folder of the task's text, with `tests/<test set>.parquet`.
        folder: where the results go.
        decoding, machine: values of those sections.

    Raises:
        EvaluationError: if a run folder or the primary test set is missing.
    """
    torch.set_num_threads(machine.threads)
    use_fast_matrix_products()
    if not (text / "tests" / "test.parquet").is_file():
        raise EvaluationError(f"{text}/tests holds no test.parquet, the primary test set; run `dvc repro prepare`.")
    with whole(folder) as temporary:
        for seed in seeds:
            run_folder = runs / str(seed)
            if not (run_folder / "config.json").is_file():
                raise EvaluationError(
                    f"{run_folder} holds no run; train it with `make repro`, or take {seed} out of sweep.seeds."
                )
            start = time.perf_counter()
            _evaluate_run(run_folder, text, temporary / str(seed), decoding, machine)
            logger.info("%s, seed %d: evaluated in %.1f s", name, seed, time.perf_counter() - start)
    logger.info("Results are in %s", folder)


def _evaluate_run(run_folder: Path, text: Path, folder: Path, decoding: Decoding, machine: Machine) -> None:
    run = load_run(run_folder)
    objective = load_objective(run_folder, machine.accelerator)
    scores: dict[str, Any] = {"name": run.name, "seed": run.seed, "task": run.task, "test_sets": {}}
    tables = []
    for path in sorted((text / "tests").glob("*.parquet"), key=lambda path: (path.stem != "test", path.stem)):
        columns = read_table(path, ["source", "target"])
        sources, references = columns["source"].to_pylist(), columns["target"].to_pylist()
        result = _measure(objective, sources, references, run)
        if isinstance(objective, Translation):
            table, translated = _translate(objective, path.stem, sources, references, run, decoding)
            tables.append(table)
            result |= translated
        scores["test_sets"][path.stem] = result
        if isinstance(objective, Translation) and path.stem == "test":
            rows = range(0, len(sources), max(1, len(sources) // ATTENTION_SENTENCES))[:ATTENTION_SENTENCES]
            outputs = table["hypothesis"].to_pylist()
            attention = [_attention(objective, row, sources[row], outputs[row], run) for row in rows]
            write_json(folder / "attention.json", attention)
    write_json(folder / "scores.json", scores)
    if tables:
        write_table(folder / "sentences.parquet", pa.concat_tables(tables))


@torch.no_grad()
def _measure(objective: Objective, sources: list[str], references: list[str], run: Run) -> dict[str, Any]:
    """Loss per type, perplexity and accuracy under teacher forcing, over the pairs that fit the model."""
    examples, too_long = fitting(objective.examples(sources, references), run.values.model.maximum_length)
    device = next(objective.network.parameters()).device
    measures: list[Measure] = [
        objective.measure(collate(examples, rows).to(device)) for rows in bucketed(examples, 4 * run.values.batch.tokens, None)
    ]
    tokens = sum(measure.tokens for measure in measures)
    loss = sum(measure.loss for measure in measures) / tokens
    return {
        "sentences": len(sources),
        "too_long": too_long,
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "accuracy": sum(measure.correct for measure in measures) / tokens,
    }


def _translate(
    objective: Translation, test_set: str, sources: list[str], references: list[str], run: Run, decoding: Decoding
) -> tuple[pa.Table, dict[str, Any]]:
    longest = run.values.model.maximum_length
    encoded = objective.sources(sources)
    hypotheses = translate(
        objective.network,
        [ids[:longest] for ids in encoded],
        beam=decoding.beam,
        length_penalty=decoding.length_penalty,
        batch_tokens=decoding.batch_tokens,
    )
    outputs = decode(objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])
    statistics = sentence_statistics(outputs, references, run.target_language)
    table = pa.table(
        {
            "test_set": pa.array([test_set] * len(sources)),
            "index": pa.array(range(len(sources)), pa.int64()),
            "source": pa.array(sources),
            "reference": pa.array(references),
            "hypothesis": pa.array(outputs),
            "score": pa.array([hypothesis.score for hypothesis in hypotheses], pa.float64()),
            "bleu_statistics": pa.array([row.bleu for row in statistics], pa.list_(pa.int64())),
            "chrf_statistics": pa.array([row.chrf for row in statistics], pa.list_(pa.int64())),
            "ter_edits": pa.array([row.ter[0] for row in statistics], pa.float64()),
            "ter_reference_length": pa.array([row.ter[1] for row in statistics], pa.float64()),
            "exact": pa.array([output == right for output, right in zip(outputs, references, strict=True)]),
        }
    )
    scores = {"cut_sources": sum(len(ids) > longest for ids in encoded)}
    return table, scores | corpus_scores(sources, outputs, references, run.target_language)


@torch.no_grad()
def _attention(objective: Translation, row: int, source: str, output: str, run: Run) -> dict[str, Any]:
    """Where each output type looks in the source, for one sentence."""
    longest = run.values.model.maximum_length
    source_ids = objective.sources([source])[0][:longest]
    # The state that predicts the type at position t has read the types before it: shift by [START], look ahead to [END].
    output_ids = encode(objective.vocabularies.target, [output])[0][: longest - 1]
    device = objective.network.output.weight.device
    layers = objective.network.cross_attention(pad([source_ids]).to(device), pad([[START, *output_ids]]).to(device))
    return {
        "test_set": "test",
        "index": row,
        "source_tokens": [_type(objective.vocabularies.source, token) for token in source_ids],
        "target_tokens": [_type(objective.vocabularies.target, token) for token in [*output_ids, END]],
        "weights": [[[[round(w, 4) for w in weights] for weights in head] for head in layer[0].tolist()] for layer in layers],
    }


def _type(tokenizer: Any, token: int) -> str:
    return str(tokenizer.id_to_token(token))
