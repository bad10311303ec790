"""The run folder: one trained model with everything that is needed to use it and to judge it.

Everything downstream reads the model from its folder, never from `params.yaml` again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import Tensor

from translab.config import Run, check
from translab.files import read_json, whole
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.text import bpe

BEST, LAST = "model.safetensors", "last.safetensors"
AGAIN = "get it again, or make it again with `make repro`."

Content = TypeVar("Content")


class RunError(ValueError):
    """A file of a run is missing, damaged, or does not fit the others; the message says which, and what to do."""


def load_run(folder: Path) -> Run:
    """A run's configuration.

    Raises:
        RunError: if the file cannot be read.
        ConfigError: if its values are not a run's.
    """
    path = folder / "config.json"
    return check(Run, _read(path, read_json), str(path))


def load_weights(folder: Path, file: str = BEST) -> dict[str, Tensor]:
    """A run's tensors by name.

    Raises:
        RunError: if the file cannot be read.
    """
    return _read(folder / file, safetensors.torch.load_file)


def load_vocabulary(path: Path) -> Tokenizer:
    """A tokenizer.

    Raises:
        RunError: if the file cannot be read.
    """
    return _read(path, bpe.load)


def _read(path: Path, reader: Callable[[Path], Content]) -> Content:
    if not path.is_file():
        raise RunError(f"{path} is missing; {AGAIN}")
    try:
        return reader(path)
    except Exception as error:  # the tokenizers library raises no class of its own
        raise RunError(f"{path} is damaged ({error}); {AGAIN}") from None


def load_vocabularies(folder: Path) -> Vocabularies:
    """A run's tokenizers.

    Raises:
        RunError: if a file cannot be read.
    """
    return Vocabularies(load_vocabulary(folder / "source.json"), load_vocabulary(folder / "target.json"))


def load_objective(folder: Path, device: str) -> Objective:
    """A run's objective with its best weights, in evaluation mode.

    Raises:
        RunError: if a file cannot be read, or the weights are not those of this configuration and these vocabularies.
        ConfigError: if the configuration is wrong.
    """
    # Every value is overwritten by the stored weights, so the seed does not matter.
    objective = build(load_run(folder), load_vocabularies(folder), torch.Generator().manual_seed(0))
    weights = load_weights(folder)
    try:
        objective.network.load_state_dict(weights)
    except RuntimeError as error:  # what does not fit is told over many lines
        raise RunError(
            f"{folder / BEST} does not fit config.json and the vocabularies beside it: {_misfit(objective, weights)}; {AGAIN}"
        ) from error
    objective.network.to(device).eval()
    return objective


def _misfit(objective: Objective, weights: Mapping[str, Tensor]) -> str:
    """The first tensor that is not what a network needs."""
    shapes, needed = (
        {name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (weights, objective.network.state_dict())
    )
    wrong = min(name for name in shapes.keys() | needed.keys() if shapes.get(name) != needed.get(name))
    return f"tensor `{wrong}` has shape {shapes.get(wrong, 'none')}, and the model needs {needed.get(wrong, 'none')}"


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors; equal tensors give equal bytes (hence no metadata: with two keys or more its order is random)."""
    with whole(path) as temporary:
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)


def table(kind: type[Any], rows: Sequence[Any]) -> str:
    """Rows of a dataclass as CSV; numbers in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(kind)])
    writer.writerows([list(asdict(row).values()) for row in rows])
    return text.getvalue()
