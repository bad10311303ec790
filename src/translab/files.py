"""Files that are whole or absent: everything is written to a temporary name beside its place and then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a place where nothing more can be written, whatever was read meanwhile."""

RUST_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries that are written in Rust (safetensors, tokenizers) tell an error of the system."""


OBSTACLES = (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError)
"""Errors that keep a place from being written if they are about it."""


class UnwritableError(OSError):
    """Something cannot be written: no room, no right, or something in the way; what was begun is gone again."""

    def __str__(self) -> str:
        return (
            f"{self.filename} cannot be written: {self.strerror}; make room there, get the right to write, or move what is in "
            "the way, and run the same command again."
        )


@contextmanager
def written(path: Path, temporary: Path) -> Iterator[None]:
    """Let whatever keeps `path` from being written in this block be said of `path`.

    Args:
        path: a file or folder.
        temporary: where it is written first; `path` itself, if nowhere else.

    Raises:
        UnwritableError: there is no room, no right to write, or something in the way; every other error passes as it is.
    """
    try:
        yield
    except Exception as error:
        number = _system_error(error)
        refused = isinstance(error, OBSTACLES) and any(_keeps(error.filename, place) for place in (path, temporary))
        # What lies in the temporary folder is named as the folder that it would have become; a place elsewhere keeps its name.
        elsewhere = isinstance(error, UnwritableError) and not Path(error.filename).is_relative_to(temporary)
        if number is None or elsewhere or not (number in UNWRITABLE or refused):
            raise
        raise UnwritableError(number, os.strerror(number), str(path)) from error


def _system_error(error: Exception) -> int | None:
    """The system's number of an error, as far as it has one."""
    if isinstance(error, OSError):
        return error.errno
    found = RUST_ERROR.search(str(error))
    return int(found[1]) if found else None


def _keeps(named: str | None, path: Path) -> bool:
    """Whether an error about the file `named` keeps `path` from being written: it is the same, above it, or in it."""
    if named is None:
        return False
    return path.is_relative_to(named) or Path(named).is_relative_to(path)


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """A temporary path to write a file or a folder to; it takes the place of `path` when the block ends without an error.

    Raises:
        UnwritableError: there is no room for it, no right to write there, or something in the way.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with written(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            temporary.replace(path)
        finally:
            if temporary.is_dir():
                shutil.rmtree(temporary)
            temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON that a person can read; equal values give equal bytes. NaN and infinity are refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: Path | str, table: pa.Table) -> None:
    """Write a Parquet table; equal tables give equal bytes."""
    with whole(path) as temporary:
        # The bytes depend on how a table is cut into chunks.
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")


def read_table(path: Path | str, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet table, or some of its columns."""
    return pq.read_table(path, columns=columns)


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
