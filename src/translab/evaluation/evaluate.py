"""Evaluation of one trained model: translate the test sets of its task, score, probe, and look inside.

A source that is longer than the model's positions is cut, and counted in `cut_sources`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from translab.config import Decoding, Machine, Run
from translab.evaluation.errors import EvaluationError
from translab.evaluation.memory import memory
from translab.evaluation.probes import Probe, evaluate_probes, read_probe
from translab.evaluation.translations import TestSet, read_test_set, translate_test_set
from translab.files import read_json, whole, write_json, write_table
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.objective import Measure, Objective
from translab.pretraining.translation import Translation
from translab.runs import load_objective, load_run
from translab.text.batching import bucketed, collate, fitting, pad
from translab.text.bpe import END, START, encode

logger = logging.getLogger(__name__)

ATTENTION_SENTENCES = 4
"""Sentences of the primary test set whose cross-attention is kept."""
DIAGNOSED = "test"
"""The test set whose wrong outputs are diagnosed, the primary one."""

Beside = Callable[[Path, Run, Objective, Path], None]
"""Writes more about a run beside its scores: its folder, its configuration, the loaded model, and where to write."""


def evaluate(
    name: str,
    seeds: Sequence[int],
    *,
    runs: Path,
    text: Path,
    folder: Path,
    decoding: Decoding,
    machine: Machine,
    beside: Beside | None = None,
) -> None:
    """Evaluate all seeds of one model and write `<folder>/<seed>/`, whole or not at all.

    Args:
        name: the model's name.
        seeds: which seeds.
        runs: folder that holds `<seed>/` run folders of this model.
        text: folder of the task's text, with `tests/<test set>.parquet`, `probes/<probe>.parquet` and `languages.json`.
        folder: where the results go.
        decoding, machine: values of those sections.
        beside: called for each run after its scores.

    Raises:
        EvaluationError: if a run folder or the primary test set is missing, or a probe's sentence is too long for the model.
    """
    torch.set_num_threads(machine.threads)
    if machine.accelerator == "cpu":
        use_fast_matrix_products()
    if not (text / "tests" / "test.parquet").is_file():
        raise EvaluationError(f"{text}/tests holds no test.parquet, the primary test set; run `dvc repro prepare`.")
    phrasebook = read_json(text / "languages.json")["phrasebook"]
    files = sorted((text / "tests").glob("*.parquet"), key=lambda path: (path.stem != "test", path.stem))
    test_sets = [read_test_set(path, phrasebook if path.stem == DIAGNOSED else None) for path in files]
    probes = [read_probe(path) for path in sorted((text / "probes").glob("*.parquet"))]
    with whole(folder) as temporary:
        for seed in seeds:
            run_folder = runs / str(seed)
            if not (run_folder / "config.json").is_file():
                raise EvaluationError(
                    f"{run_folder} holds no run; train it with `make repro`, or take {seed} out of sweep.seeds."
                )
            start = time.perf_counter()
            run = load_run(run_folder)
            objective = load_objective(run_folder, machine.accelerator)
            _evaluate_run(run, objective, test_sets, probes, temporary / str(seed), decoding, machine)
            if beside is not None:
                beside(run_folder, run, objective, temporary / str(seed))
            logger.info("%s, seed %d: evaluated in %.1f s", name, seed, time.perf_counter() - start)
    logger.info("Results are in %s", folder)


def _evaluate_run(
    run: Run,
    objective: Objective,
    test_sets: Sequence[TestSet],
    probes: Sequence[Probe],
    folder: Path,
    decoding: Decoding,
    machine: Machine,
) -> None:
    # A model that was never trained has no translations to judge: it repeats itself until there is no more room.
    translator = objective if isinstance(objective, Translation) and run.values.optimisation.updates else None
    scores: dict[str, Any] = {"name": run.name, "seed": run.seed, "task": run.task, "test_sets": {}}
    tables = []
    for test_set in test_sets:
        result = _measure(objective, test_set, run, torch.device(machine.accelerator))
        if translator is not None:
            table, translated = translate_test_set(translator, test_set, run, decoding)
            tables.append(table)
            result |= translated
        scores["test_sets"][test_set.name] = result
    if translator is not None:
        write_table(folder / "sentences.parquet", pa.concat_tables(tables))
        write_json(folder / "attention.json", _attentions(translator, test_sets[0], tables[0], run))
        if probes:
            # A batch of greedy decoding has room for as many hypotheses as one of beam search.
            table, scores["probes"] = evaluate_probes(translator, probes, run, decoding.beam * decoding.batch_tokens)
            write_table(folder / "probes.parquet", table)
        if run.stage == "ablate":
            scores["memory"] = memory(translator.network, translator.sources(test_sets[0].sources))
    write_json(folder / "scores.json", scores)


@torch.no_grad()
def _measure(objective: Objective, test_set: TestSet, run: Run, device: torch.device) -> dict[str, Any]:
    """Loss per type, perplexity and accuracy under teacher forcing, over the pairs that fit the model."""
    examples, too_long = fitting(objective.examples(test_set.sources, test_set.references), run.values.model.maximum_length)
    measures: list[Measure] = [
        objective.measure(collate(examples, rows).to(device)) for rows in bucketed(examples, 4 * run.values.batch.tokens, None)
    ]
    tokens = sum(measure.tokens for measure in measures)
    loss = sum(measure.loss for measure in measures) / tokens
    return {
        "sentences": len(test_set.sources),
        "too_long": too_long,
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "accuracy": sum(measure.correct for measure in measures) / tokens,
    }


def _attentions(objective: Translation, test_set: TestSet, table: pa.Table, run: Run) -> list[dict[str, Any]]:
    """Cross-attention of some sentences of a test set and their translations; nothing for a body that has none."""
    rows = range(0, len(test_set.sources), max(1, len(test_set.sources) // ATTENTION_SENTENCES))[:ATTENTION_SENTENCES]
    outputs = table["hypothesis"].to_pylist()
    found = [_attention(objective, row, test_set.sources[row], outputs[row], run) for row in rows]
    return [attention for attention in found if attention["weights"]]


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
