"""Evaluation of one trained model: translate the test sets of its task, score, probe, and look inside.

A source that is longer than the model's positions is cut, and counted in `cut_sources`.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from translab.config import Decoding, Machine, Run
from translab.evaluation.errors import EvaluationError
from translab.evaluation.forcing import Forced, by_position, forced, mean_scores
from translab.evaluation.frequencies import training_frequencies
from translab.evaluation.heads import heads
from translab.evaluation.memory import memory
from translab.evaluation.probes import evaluate_probes, read_probe
from translab.evaluation.translations import TestSet, read_test_set, translate_test_set
from translab.files import read_json, read_table, whole, write_json, write_table
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.objective import Objective
from translab.pretraining.translation import Translation
from translab.runs import load_objective, load_run
from translab.text.batching import Examples, pad
from translab.text.bpe import END, START, encode

logger = logging.getLogger(__name__)

ATTENTION_SENTENCES = 4
"""Sentences of the primary test set whose cross-attention is kept."""
DIAGNOSED = "test"
"""The test set whose wrong outputs are diagnosed, the primary one."""

Beside = Callable[[Path, Run, Objective, Path], None]
"""Writes more about a run beside its scores: its folder, its configuration, the loaded model, and where to write."""


class _Task:
    """What the models of one task are asked.

    Args:
        text: the task's folder.
    """

    def __init__(self, text: Path) -> None:
        languages = read_json(text / "languages.json")
        files = sorted((text / "tests").glob("*.parquet"), key=lambda path: (path.stem != DIAGNOSED, path.stem))
        self.test_sets = [read_test_set(path, languages["phrasebook"] if path.stem == DIAGNOSED else None) for path in files]
        """The primary one first."""
        self.probes = [read_probe(path) for path in sorted((text / "probes").glob("*.parquet"))]
        self._train = text / "train.parquet"
        self._language = languages["target_language"]

    @cached_property
    def frequencies(self) -> Counter[str]:
        """How often each word stands in the training targets; only models that translate are asked for them."""
        return training_frequencies(read_table(self._train, ["target"])["target"].to_pylist(), self._language)


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
    task = _Task(text)
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
            if isinstance(objective, Translation) and _is_trained(run, run_folder):
                _evaluate_translator(run, objective, task, temporary / str(seed), decoding, machine)
            else:
                _evaluate_other(run, objective, task, temporary / str(seed), machine)
            if beside is not None:
                beside(run_folder, run, objective, temporary / str(seed))
            logger.info("%s, seed %d: evaluated in %.1f s", name, seed, time.perf_counter() - start)
    logger.info("Results are in %s", folder)


def _is_trained(run: Run, run_folder: Path) -> bool:
    """Whether the model learned anything; one that did not repeats itself until there is no more room.

    A training that diverged before its first validation leaves the first values.
    """
    return run.values.optimisation.updates > 0 and read_json(run_folder / "metrics.json")["best_valid_loss"] is not None


def _evaluate_other(run: Run, objective: Objective, task: _Task, folder: Path, machine: Machine) -> None:
    """Scores of a model that has no translations to judge."""
    test_sets = {}
    for test_set in task.test_sets:
        examples = objective.examples(test_set.sources, test_set.references)
        test_sets[test_set.name] = _forced_scores(_forced(objective, examples, run, machine), len(examples))
    _write_scores(folder, run, {"test_sets": test_sets})


def _evaluate_translator(
    run: Run, objective: Translation, task: _Task, folder: Path, decoding: Decoding, machine: Machine
) -> None:
    scores: dict[str, Any] = {"test_sets": {}}
    tables = []
    for test_set in task.test_sets:
        examples = objective.examples(test_set.sources, test_set.references)
        found = _forced(objective, examples, run, machine)
        translated = translate_test_set(objective, test_set, examples.source, task.frequencies, run, decoding)
        tables.append(translated.table)
        scores["test_sets"][test_set.name] = {
            **_forced_scores(found, len(examples)),
            **translated.scores,
            "by_position": by_position(found, [target[1:] for target in examples.target], translated.tokens),
        }
        if test_set is task.test_sets[0]:
            attentions = _attentions(objective, test_set, translated.outputs, run)
            primary = examples
    write_table(folder / "sentences.parquet", pa.concat_tables(tables))
    write_json(folder / "attention.json", numbers(attentions))
    if task.probes:
        # A batch of greedy decoding has room for as many hypotheses as one of beam search.
        table, scores["probes"] = evaluate_probes(objective, task.probes, run, decoding.beam * decoding.batch_tokens)
        write_table(folder / "probes.parquet", table)
    if run.stage == "ablate":
        scores["memory"] = memory(objective.network, primary.source)
        worth = heads(objective, primary, _forcing_tokens(run), torch.device(machine.accelerator))
        scores |= {"heads": {"test_set": task.test_sets[0].name, **worth}} if worth is not None else {}
    _write_scores(folder, run, scores)


def _write_scores(folder: Path, run: Run, scores: dict[str, Any]) -> None:
    write_json(folder / "scores.json", numbers({"name": run.name, "seed": run.seed, "task": run.task, **scores}))


def numbers(value: Any) -> Any:
    """A result for JSON, which knows no infinity: null instead of what is not a finite number."""
    if isinstance(value, dict):
        return {key: numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [numbers(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _forcing_tokens(run: Run) -> int:
    """Target types in a batch that is read without gradients."""
    return 4 * run.values.batch.tokens


def _forced(objective: Objective, examples: Examples, run: Run, machine: Machine) -> Forced:
    longest = run.values.model.maximum_length
    return forced(objective, examples, longest, _forcing_tokens(run), torch.device(machine.accelerator))


def _forced_scores(found: Forced, sentences: int) -> dict[str, Any]:
    """Loss per type, perplexity and accuracy under teacher forcing, over the pairs that fit the model."""
    return {"sentences": sentences, "too_long": sentences - len(found.rows), **mean_scores(found.measure)}


def _attentions(objective: Translation, test_set: TestSet, outputs: Sequence[str], run: Run) -> list[dict[str, Any]]:
    """Cross-attention of some sentences of a test set and their translations; nothing for a body that has none."""
    rows = range(0, len(test_set.sources), max(1, len(test_set.sources) // ATTENTION_SENTENCES))[:ATTENTION_SENTENCES]
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
