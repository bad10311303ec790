"""What a training leaves behind: the run folder, and beside it what the training cost."""

from __future__ import annotations

import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from translab.config import Run
from translab.files import whole, write_json, write_text
from translab.runs import BEST, LAST, table, write_weights
from translab.training.callbacks import Record
from translab.training.checkpoints import VERSIONS
from translab.training.fit import Fit


def write_run(
    folder: Path,
    run: Run,
    result: Fit,
    network: nn.Module,
    proof: Mapping[str, Any],
    tokenizers: tuple[Path, Path],
    references: Mapping[str, str],
) -> None:
    """Write a run folder, whole or not at all.

    Args:
        folder: where it goes.
        run: the configuration.
        result: the finished training.
        network: what was trained.
        proof: of the transfer, for metrics.json: `frozen`, `released` and `transferred`.
        tokenizers: files of the source and the target vocabulary.
        references: translations of the sample sentences.
    """
    with whole(folder) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", run.model_dump(mode="json"))
        write_weights(temporary / BEST, result.best)
        write_weights(temporary / LAST, result.last)
        for name, tokenizer in zip(("source.json", "target.json"), tokenizers, strict=True):
            shutil.copyfile(tokenizer, temporary / name)
        write_text(temporary / "history.csv", table(Record, result.history))
        write_json(temporary / "metrics.json", {**_metrics(run, result, network), **proof})
        rows = [("step", "source", "reference", "translation")]
        rows += [(str(step), source, references[source], shown) for step, source, shown in result.samples]
        write_text(temporary / "samples.tsv", "".join("\t".join(row) + "\n" for row in rows))


def _metrics(run: Run, result: Fit, network: nn.Module) -> dict[str, Any]:
    best = min(result.history, key=lambda record: record.valid_loss, default=None)
    last = result.history[-1] if result.history else None
    embeddings = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    return {
        "seed": run.seed,
        "parameters": {
            "total": sum(p.numel() for p in network.parameters()),
            "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "embedding": sum(p.numel() for module in embeddings for p in module.parameters()),
        },
        "updates": result.updates,
        "tokens": result.tokens,
        "best_step": best and best.step,
        "best_valid_loss": best and best.valid_loss,
        "last_valid_loss": last and last.valid_loss,
        "last_train_loss": last and last.train_loss,
        "stopped_early": result.stopped_early,
        "diverged_at": result.diverged_at,
        "padding": result.padding,
    }


def cost(run: Run, result: Fit, counting: float) -> dict[str, Any]:
    """What a training cost.

    Args:
        run: the configuration.
        result: the finished training.
        counting: seconds that were spent on counting before the first update.
    """
    cuda = run.values.machine.accelerator == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    seconds = {
        **result.seconds,
        "total": result.seconds["total"] + counting,
        "training": result.seconds["training"] + counting,
    }
    return {
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "tokens_per_second": round(result.tokens / seconds["training"], 1) if result.tokens else 0.0,
        "peak_memory_mib": round(peak, 1),
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "threads": run.values.machine.threads,
        "versions": {"python": sys.version.split()[0], **{package: version(package) for package in VERSIONS}},
        "git_commit": _commit(),
    }


def _commit() -> str | None:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
