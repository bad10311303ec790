"""The run folder: one trained model with everything that is needed to use it and to judge it.

Everything downstream reads the model from its folder, never from `params.yaml` again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from translab.config import Run, check
from translab.files import read_json, whole
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.text import bpe

BEST, LAST = "model.safetensors", "last.safetensors"


def load_run(folder: Path) -> Run:
    """A run's configuration.

    Raises:
        ConfigError: if the file's values are not a run's.
    """
    return check(Run, read_json(folder / "config.json"), str(folder / "config.json"))


def load_weights(folder: Path, file: str = BEST) -> dict[str, Tensor]:
    """A run's tensors by name."""
    return safetensors.torch.load_file(folder / file)


def load_vocabularies(folder: Path) -> Vocabularies:
    """A run's tokenizers."""
    return Vocabularies(bpe.load(folder / "source.json"), bpe.load(folder / "target.json"))


def load_objective(folder: Path, device: str) -> Objective:
    """A run's objective with its best weights, in evaluation mode."""
    # Every value is overwritten by the stored weights, so the seed does not matter.
    objective = build(load_run(folder), load_vocabularies(folder), torch.Generator().manual_seed(0))
    objective.network.load_state_dict(load_weights(folder))
    objective.network.to(device).eval()
    return objective


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
