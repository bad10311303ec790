"""One run from its configuration to its folder: read the text, build the network, transfer, fit, write."""

from __future__ import annotations

import logging
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from translab.config import Run, RunTransfer
from translab.files import read_table, whole, write_json, write_text
from translab.models.transformer import Transformer
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.runs import BEST, LAST, load_weights, table, write_weights
from translab.seeds import stream
from translab.text import bpe
from translab.text.batching import fitting
from translab.training.fit import Fit, TrainingError, fit
from translab.transfer import fingerprints, freeze, transplant

logger = logging.getLogger(__name__)

SAMPLES = 5
"""Validation sentences that are shown at each validation."""

VERSIONS = ("torch", "pytorch-lightning", "tokenizers", "numpy")


def train(
    run: Run,
    *,
    text: Path,
    tokenizers: tuple[Path, Path],
    donor: Path | None,
    folder: Path,
    cost: Path,
    log: Callable[[int, Mapping[str, float]], None],
) -> None:
    """Train one model and write its folder and its cost, whole or not at all.

    Args:
        run: the resolved configuration.
        text: folder of the task's text.
        tokenizers: files of the source and the target vocabulary.
        donor: run folder from which shallow layers come, if any.
        folder, cost: where the results go.
        log: called once a validation with the step and its measures.

    Raises:
        TrainingError: if there is no text to train on, the loss stops being a number, or a frozen tensor moved.
        TransferError: if the donor does not fit.
    """
    vocabularies = Vocabularies(bpe.load(tokenizers[0]), bpe.load(tokenizers[1]))
    initialisation = "transfer" if run.transfer else "initialisation"
    objective = build(run, vocabularies, torch.Generator().manual_seed(stream(run.seed, initialisation)))
    if run.transfer and donor:
        _transfer(run.transfer, objective, donor)
    before = fingerprints(objective.network)

    train_pairs, valid_pairs = _pairs(text / "train.parquet"), _pairs(text / "valid.parquet")
    limit = run.values.model.maximum_length
    training, too_long = fitting(objective.examples(*_subset(train_pairs, run)), limit)
    validation, _ = fitting(objective.examples(*valid_pairs), limit)
    if not len(training) or not len(validation):
        raise TrainingError(
            f"{text}: {len(training)} training and {len(validation)} validation pairs fit model.maximum_length {limit}; "
            f"both must be at least 1: raise it, or give more text."
        )
    logger.info(
        "%s, seed %d: %d training pairs (%d longer than %d types left out), %d for validation",
        run.name, run.seed, len(training), too_long, limit, len(validation),
    )  # fmt: skip
    shown = valid_pairs[0][:: max(1, len(valid_pairs[0]) // SAMPLES)][:SAMPLES]
    result = fit(
        objective,
        training,
        validation,
        optimisation=run.values.optimisation,
        machine=run.values.machine,
        tokens=run.values.batch.tokens,
        order_seed=stream(run.seed, "order"),
        dropout_seed=stream(run.seed, "dropout"),
        samples=shown,
        log=log,
    )
    after = fingerprints(objective.network)
    if before != after:
        moved = [name for name in before if before[name] != after.get(name)]
        raise TrainingError(
            f"{folder}: {', '.join(moved)} should be frozen but changed in training; this is a defect of translab."
        )
    references = dict(zip(*valid_pairs, strict=True))
    _write(folder, run, result, objective.network, after, tokenizers, references)
    write_json(cost, _cost(run, result))
    logger.info("%s: best validation loss %.4f; results in %s", run.name, min(r.valid_loss for r in result.history), folder)


def _transfer(transfer: RunTransfer, objective: Objective, donor: Path) -> None:
    network = objective.network
    assert isinstance(network, Transformer), "only translation models receive layers"
    parts = transplant(network, transfer.shallow_layers, load_weights(donor), str(donor))
    if not transfer.train:
        frozen = freeze(parts)
        logger.info("%d of %d parameters are frozen", frozen, sum(p.numel() for p in network.parameters()))
    if not transfer.dropout:
        for part in parts:
            part.eval()


def _pairs(path: Path) -> tuple[list[str], list[str]]:
    columns = read_table(path, ["source", "target"])
    return columns["source"].to_pylist(), columns["target"].to_pylist()


def _subset(pairs: tuple[list[str], list[str]], run: Run) -> tuple[list[str], list[str]]:
    wanted = run.values.data.training_pairs
    if wanted == "all":
        return pairs
    sources, targets = pairs
    if wanted > len(sources):
        raise TrainingError(
            f"params.yaml: data.training_pairs is {wanted}, but {run.corpus} has {len(sources)} training pairs; "
            f'give at most that, or "all".'
        )
    rows = np.random.default_rng(stream(run.seed, "subset")).permutation(len(sources))[:wanted]
    return [sources[row] for row in rows], [targets[row] for row in rows]


def _write(
    folder: Path,
    run: Run,
    result: Fit,
    network: nn.Module,
    frozen: dict[str, str],
    tokenizers: tuple[Path, Path],
    references: dict[str, str],
) -> None:
    with whole(folder) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", run.model_dump(mode="json"))
        write_weights(temporary / BEST, result.best)
        write_weights(temporary / LAST, result.last)
        for name, tokenizer in zip(("source.json", "target.json"), tokenizers, strict=True):
            shutil.copyfile(tokenizer, temporary / name)
        write_text(temporary / "history.csv", table(result.history))
        write_json(temporary / "metrics.json", _metrics(run, result, network, frozen))
        rows = [("step", "source", "reference", "translation")]
        rows += [(str(step), source, references[source], shown) for step, source, shown in result.samples]
        write_text(temporary / "samples.tsv", "".join("\t".join(row) + "\n" for row in rows))


def _metrics(run: Run, result: Fit, network: nn.Module, frozen: dict[str, str]) -> dict[str, Any]:
    best = min(result.history, key=lambda record: record.valid_loss)
    last = result.history[-1]
    embeddings = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    return {
        "seed": run.seed,
        "parameters": {
            "total": sum(p.numel() for p in network.parameters()),
            "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "embedding": sum(p.numel() for module in embeddings for p in module.parameters()),
        },
        "updates": last.step,
        "tokens": last.tokens,
        "best_step": best.step,
        "best_valid_loss": best.valid_loss,
        "last_valid_loss": last.valid_loss,
        "last_train_loss": last.train_loss,
        "stopped_early": result.stopped_early,
        "frozen": frozen,
    }


def _cost(run: Run, result: Fit) -> dict[str, Any]:
    cuda = run.values.machine.accelerator == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        "seconds": {name: round(seconds, 3) for name, seconds in result.seconds.items()},
        "tokens_per_second": round(result.history[-1].tokens / result.seconds["training"], 1),
        "peak_memory_mib": round(peak, 1),
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "threads": run.values.machine.threads,
        "versions": {"python": sys.version.split()[0], **{package: version(package) for package in VERSIONS}},
        "git_commit": _commit(),
    }


def _commit() -> str | None:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
