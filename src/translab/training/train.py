"""One run from its configuration to its folder: read the text, build the network, transfer, count, fit, write."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from translab.config import Run, RunTransfer
from translab.files import read_json, read_table, write_json
from translab.freezing import GradualUnfreezing, fingerprints, freeze, stop_dropout
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.runs import BEST, load_vocabularies, load_vocabulary, load_weights
from translab.seeds import drawn
from translab.text.batching import fitting
from translab.training.checkpoints import key, opened
from translab.training.fit import TrainingError, fit
from translab.training.results import cost, write_run
from translab.transfer import Transplant, transplant

logger = logging.getLogger(__name__)

SAMPLES = 5
"""Validation sentences that are shown at each validation."""

Pairs = tuple[list[str], list[str]]
"""Sources, and their translations in the same order."""


def train(
    run: Run,
    *,
    text: Path,
    added: Path | None,
    tokenizers: tuple[Path, Path],
    donor: Path | None,
    folder: Path,
    cost_file: Path,
    checkpoints: Path,
    log: Callable[[int, Mapping[str, float]], None],
) -> None:
    """Train one model and write its folder and its cost, whole or not at all.

    What was stopped before, at any moment, goes on from its last checkpoint, and gives the same bytes.

    Args:
        run: the resolved configuration.
        text: folder of the task's text.
        added: folder of the text that is added to it where `data.add_a` says so.
        tokenizers: files of the source and the target vocabulary.
        donor: run folder from which shallow layers come, if any.
        folder, cost_file: where the results go.
        checkpoints: folder of what a stopped training goes on from; it is gone when the results are written.
        log: called once a validation with the step and its measures.

    Raises:
        RunError: if a vocabulary or a file of the donor cannot be read.
        TrainingError: if there is no GPU where one is asked for, there is no text to train on, the loss of a network that is
            not trained is not a number, or a frozen tensor moved.
        TransferError: if the donor does not fit.
        CheckpointError: if another process is training the same run.
    """
    if run.values.machine.accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "params.yaml: machine.accelerator is cuda, but PyTorch finds no GPU here; take cpu, or a build of PyTorch for your "
            "GPU (`make setup TORCH=...`)."
        )
    vocabularies = Vocabularies(load_vocabulary(tokenizers[0]), load_vocabulary(tokenizers[1]))
    randomness = run.values.randomness
    first_values = drawn(run.seed, randomness.initialisation, "transfer" if run.transfer else "initialisation")
    objective = build(run, vocabularies, torch.Generator().manual_seed(first_values))
    network = objective.network
    given = gradual = None
    if run.transfer and donor:
        given, gradual = _transfer(run, run.transfer, objective, vocabularies, donor)
    before = fingerprints(network)

    valid_pairs = _pairs(text / "valid.parquet")
    train_pairs = _training_pairs(run, text, added)
    limit = run.values.model.maximum_length
    training, too_long = fitting(objective.examples(*train_pairs), limit)
    held_out = objective.examples(*valid_pairs)
    validation, _ = fitting(held_out, limit)
    if not len(training) or not len(validation):
        raise TrainingError(
            f"{text}: {len(training)} training and {len(validation)} validation pairs fit model.maximum_length {limit}; "
            f"both must be at least 1: raise it, or give more text."
        )
    logger.info(
        "%s, seed %d: %d training pairs (%d longer than %d types left out), %d for validation",
        run.name, run.seed, len(training), too_long, limit, len(validation),
    )  # fmt: skip
    start = time.perf_counter()
    objective.count(training)
    counting = time.perf_counter() - start
    spread = range(0, len(held_out), max(1, len(held_out) // SAMPLES))[:SAMPLES]
    rows = [row for row in spread if len(fitting(held_out.take([row]), limit)[0])]
    with opened(checkpoints, key(run.model_dump(mode="json"), _inputs(run, text, added, tokenizers, donor))) as kept:
        result = fit(
            objective,
            training,
            validation,
            optimisation=run.values.optimisation,
            machine=run.values.machine,
            tokens=run.values.batch.tokens,
            bucketing=run.values.batch.bucketing,
            order_seed=drawn(run.seed, randomness.order, "order"),
            dropout_seed=drawn(run.seed, randomness.dropout, "dropout"),
            samples=([valid_pairs[0][row] for row in rows], [valid_pairs[1][row] for row in rows]),
            log=log,
            gradual=gradual,
            checkpoints=kept,
        )
        after = fingerprints(network)
        released = set(before) - set(after) if gradual else set()  # compared with its first values when it was released
        moved = [name for name in before if name not in released and before[name] != after.get(name)]
        if moved:
            raise TrainingError(
                f"{folder}: {', '.join(moved)} should be frozen but changed in training; this is a defect of translab."
            )
        proof = {"frozen": after, "released": gradual.released if gradual else [], "transferred": _transferred(given)}
        write_run(folder, run, result, network, proof, tokenizers, dict(zip(*valid_pairs, strict=True)))
        write_json(cost_file, cost(run, result, counting))
        kept.clear()
    losses = [record.valid_loss for record in result.history]
    found = f"best validation loss {min(losses):.4f}" if losses else "no validation loss was a number"
    logger.info("%s: %s; results in %s", run.name, found, folder)


def _inputs(run: Run, text: Path, added: Path | None, tokenizers: tuple[Path, Path], donor: Path | None) -> list[Path]:
    """The files that a training reads."""
    found = [text / "train.parquet", text / "valid.parquet", *tokenizers]
    if run.values.data.add_a and added:
        found.append(added / "train.parquet")
    return found + ([donor / name for name in (BEST, "source.json", "target.json")] if donor else [])


def _transfer(
    run: Run, transfer: RunTransfer, objective: Objective, own: Vocabularies, donor: Path
) -> tuple[Transplant, GradualUnfreezing | None]:
    network = objective.network
    theirs = load_vocabularies(donor)
    vocabularies = {"source": (theirs.source, own.source), "target": (theirs.target, own.target)}
    given = transplant(network, transfer.ladder, transfer.shallow_layers, load_weights(donor), str(donor), vocabularies)
    gradual = None
    if transfer.train == "never":
        frozen = freeze(given)
        logger.info("%d of %d parameters are frozen", frozen, sum(p.numel() for p in network.parameters()))
    elif transfer.train == "gradually":
        gradual = GradualUnfreezing(network, given, run.values.optimisation.updates)
    if not transfer.dropout:
        stop_dropout(given)
    return given, gradual


def _transferred(given: Transplant | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {
        "copied_rows": given.copied_rows,
        "fresh_rows": given.fresh_rows,
        "tables": [asdict(table) for table in given.tables],
        "silent": given.silent,
    }


def _training_pairs(run: Run, text: Path, added: Path | None) -> Pairs:
    pairs = _subset(_pairs(text / "train.parquet"), run)
    if not run.values.data.add_a:
        return pairs
    if added is None:
        raise TrainingError("params.yaml: data.add_a is true, but task A itself has nothing to add; leave it false there.")
    languages = [read_json(folder / "languages.json") for folder in (text, added)]
    here, there = (f"{these['corpus']} {these['source_language']}→{these['target_language']}" for these in languages)
    if here.rpartition(" ")[2] != there.rpartition(" ")[2]:
        raise TrainingError(
            f"params.yaml: data.add_a is true, but {there} cannot be added to {here}; "
            f"take corpora of the same languages, or leave it false."
        )
    more = _pairs(added / "train.parquet")
    return pairs[0] + more[0], pairs[1] + more[1]


def _pairs(path: Path) -> Pairs:
    columns = read_table(path, ["source", "target"])
    return columns["source"].to_pylist(), columns["target"].to_pylist()


def _subset(pairs: Pairs, run: Run) -> Pairs:
    wanted = run.values.data.training_pairs
    if wanted == "all":
        return pairs
    sources, targets = pairs
    if wanted > len(sources):
        raise TrainingError(
            f"params.yaml: {run.name} asks for {wanted} training pairs, but {run.corpus} has {len(sources)}; "
            f'give data.training_pairs at most that, or "all".'
        )
    generator = np.random.default_rng(drawn(run.seed, run.values.randomness.subset, "subset"))
    rows = generator.permutation(len(sources))[:wanted]
    return [sources[row] for row in rows], [targets[row] for row in rows]
