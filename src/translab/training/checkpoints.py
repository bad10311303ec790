"""Checkpoints: from where a training that was stopped goes on, so that its results are those of one that was not, to the bit.

One is written after each validation. It is a file of tensors (safetensors, so that reading it executes nothing) with all that
the rest of the training depends on: the network, the best weights so far, the optimizer's moments, PyTorch's generators, and in
its header, as JSON, the counters and what the validations found. The position in the data is the number of updates, since the
order is a function of the seed.

    name    <key>-<update>-<digest>.safetensors   the two newest are kept
    key     hash of what the training depends on: configuration, text, vocabularies, donor, code, versions, kind of processor.
            Checkpoints of another key are deleted, never used.
    digest  hash of the file's bytes: a damaged file is known by it, and the one before is used.

They lie outside the run folder, which DVC deletes before it starts a training again, and go when the run folder is written. A
lock refuses a second training of the same run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from translab import files

logger = logging.getLogger(__name__)

KEPT = 2
"""If the newest is damaged, the one before it is used."""

LENGTH = 16
"""Hexadecimal digits of a key or digest in a name."""

VERSIONS = ("torch", "pytorch-lightning", "tokenizers", "numpy")
"""Packages whose versions may change the bits of a training."""


class CheckpointError(ValueError):
    """A run cannot be trained here and now."""


@dataclass(frozen=True)
class Checkpoint:
    """A training right after a validation."""

    update: int
    """Updates made."""
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]
    """Plain values, as JSON has them."""


def key(configuration: Mapping[str, Any], inputs: Sequence[Path]) -> str:
    """Hash of what a training depends on.

    Args:
        configuration: the run's, as plain values.
        inputs: files that the training reads.
    """
    package = Path(__file__).parents[1]
    code = {path.relative_to(package).as_posix(): files.sha256(path) for path in sorted(package.rglob("*.py"))}
    found = {
        "configuration": configuration,
        "inputs": [files.sha256(path) for path in inputs],
        "code": code,
        "versions": [sys.version, *(version(package) for package in VERSIONS)],
        "processor": [platform.machine(), torch.backends.cpu.get_cpu_capability()],
    }
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:LENGTH]


class Checkpoints:
    """The checkpoints of one run; made by `opened`."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key
        self._warned = False

    def newest(self) -> Checkpoint | None:
        """The newest one that is whole, if there is any."""
        for path in self._paths():
            _, update, digest = path.stem.split("-")
            if files.sha256(path)[:LENGTH] == digest:
                with safetensors.safe_open(path, "pt") as file:
                    values = json.loads(file.metadata()["values"])
                return Checkpoint(int(update), safetensors.torch.load_file(path), values)
            logger.warning("checkpoint: %s is damaged (its hash is not the one in its name); an older state is taken.", path)
        return None

    def write(self, checkpoint: Checkpoint) -> None:
        """Write one; where that fails (a full disk, say) training goes on without, and says so once."""
        temporary = self._folder / ".part"
        try:
            # One entry alone, since safetensors writes several in no fixed order.
            header = {"values": json.dumps(checkpoint.values)}
            safetensors.torch.save_file(dict(checkpoint.tensors), temporary, header)
            digest = files.sha256(temporary)[:LENGTH]
            temporary.replace(self._folder / f"{self._key}-{checkpoint.update:09d}-{digest}.safetensors")
        except (OSError, safetensors.SafetensorError) as error:
            temporary.unlink(missing_ok=True)  # on a full disk half a file would stand in the way of the results
            if not self._warned:
                logger.warning(
                    "checkpoint: %s cannot be written (%s); training goes on, but after a crash it would start from an older "
                    "state.",
                    temporary.parent,
                    error,
                )
            self._warned = True
        for path in self._paths()[KEPT:]:
            path.unlink()

    def clear(self) -> None:
        """Delete all, once the results are written."""
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def _paths(self) -> list[Path]:
        """Those of this key, the newest first; all others are deleted."""
        for path in self._folder.glob("*.safetensors"):
            if not path.name.startswith(f"{self._key}-"):
                path.unlink()
        return sorted(self._folder.glob("*.safetensors"), reverse=True)


@contextmanager
def opened(folder: Path, key: str) -> Iterator[Checkpoints]:
    """The checkpoints of a run, which no other process can train meanwhile.

    Args:
        folder: where they lie.
        key: hash of what the training depends on.

    Raises:
        CheckpointError: if another process is training the run.
        UnwritableError: if the folder cannot be made.
    """
    with files.written(folder, folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"{folder}: another process is training this run; wait until it has ended, or stop it, and start again."
            ) from None
        yield Checkpoints(folder, key)
