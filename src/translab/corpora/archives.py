"""Opening compressed files and members of archives, without trusting them.

Nothing is ever unpacked to disk: one declared member is read as a stream. An archive that holds a name outside its own folder,
or a link, is refused as a whole, since whoever made it meant harm or made a mistake; a stream that unpacks to far more than
text can (a "zip bomb") stops at a bound. Sizes that an archive states about itself are not believed.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

MAXIMUM_RATIO = 100
"""Unpacked bytes over packed bytes that are still believed; text reaches 3 to 10, repetitive text 50."""

ALWAYS_ALLOWED = 64 * 1024**2
"""Unpacked bytes that are allowed whatever the ratio, so that tiny files of repeated lines pass."""

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError,
    OverflowError,
)  # fmt: skip
"""What the libraries raise for bytes that are not what a header says."""


class ArchiveError(ValueError):
    """An archive is damaged, unsafe, or lacks a member; the message says which and what to do."""


class _Bounded(io.RawIOBase):
    """A stream that refuses to yield more than `limit` bytes."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self.stream, self.left, self.limit, self.name = stream, limit, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        try:
            chunk = self.stream.read(len(view))
        except DAMAGED as error:
            raise ArchiveError(f"{self.name} is damaged ({error}); fetch or copy it again.") from None
        self.left -= len(chunk)
        if self.left < 0:
            raise ArchiveError(
                f"{self.name} unpacks to more than {self.limit:,} bytes, {MAXIMUM_RATIO} times its packed size; "
                "text does not compress so well, so the file is refused: unpack it yourself if you trust it."
            )
        view[: len(chunk)] = chunk
        return len(chunk)


@contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if its name ends in .gz or .xz, or those of one member of a zip or tar file.

    Raises:
        ArchiveError: see the module's first lines.
    """
    name = str(path) if member is None else f"{path}: {member}"
    with _file(path) as file:
        limit = max(ALWAYS_ALLOWED, MAXIMUM_RATIO * os.fstat(file.fileno()).st_size)
        if member is not None:
            with _member(path, file, member) as stream:
                # A member that is itself compressed (`train.de.gz` in a tar) is opened too.
                yield io.BufferedReader(_Bounded(_unpacked(stream, member), limit, name))
        elif path.name.endswith((".gz", ".xz")):
            yield io.BufferedReader(_Bounded(_unpacked(file, path.name), limit, name))
        else:
            yield file


def _file(path: Path) -> IO[bytes]:
    try:
        found = path.stat().st_mode
        if stat.S_ISREG(found):
            return path.open("rb")
        reason = "it is a folder" if stat.S_ISDIR(found) else "it is a device"
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:
        reason = str(error)  # a NUL in its name
    raise ArchiveError(
        f"{path} cannot be read: {reason}; correct the path in corpora.yaml (relative paths start at the project)."
    )


def _unpacked(stream: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
    if name.endswith(".xz"):
        return lzma.LZMAFile(stream)
    return stream


@contextmanager
def _member(path: Path, file: IO[bytes], member: str) -> Iterator[IO[bytes]]:
    if not path.name.endswith((".zip", *TAR_SUFFIXES)):
        raise ArchiveError(
            f"{path} is not an archive; allowed are .zip, {', '.join(TAR_SUFFIXES)}: drop `archive`, or rename it."
        )
    try:
        archive, stream = (_of_zip if path.name.endswith(".zip") else _of_tar)(path, file, member)
    except ArchiveError:
        raise
    except NotImplementedError as error:
        raise ArchiveError(f"{path}: {member} cannot be unpacked ({error}); pack it with deflate.") from None
    except DAMAGED as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise ArchiveError(f"{path} is damaged ({reason}); fetch or copy it again.") from None
    with archive, stream:
        yield stream


def _of_zip(path: Path, file: IO[bytes], member: str) -> tuple[zipfile.ZipFile, IO[bytes]]:
    archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    _refuse_unsafe(path, {entry.filename: stat.S_ISLNK(entry.external_attr >> 16) for entry in entries})
    _require(path, member, [entry.filename for entry in entries if not entry.filename.endswith("/")])
    if archive.getinfo(member).flag_bits & 1:
        raise ArchiveError(f"{path}: {member} is encrypted; unpack it yourself and point the entry at the text.")
    return archive, archive.open(member)


def _of_tar(path: Path, file: IO[bytes], member: str) -> tuple[tarfile.TarFile, IO[bytes]]:
    archive = tarfile.open(fileobj=file)  # noqa: SIM115 -- closed after its member
    members = archive.getmembers()
    _refuse_unsafe(path, {entry.name: not (entry.isfile() or entry.isdir()) for entry in members})
    _require(path, member, [entry.name for entry in members if entry.isfile()])
    stream = archive.extractfile(member)
    assert stream is not None, "a regular file has content"
    return archive, stream


def _refuse_unsafe(path: Path, links: dict[str, bool]) -> None:
    for name, is_link in links.items():
        parts = PurePosixPath(name.replace("\\", "/"))
        outside = parts.is_absolute() or ".." in parts.parts or ":" in name
        if outside or is_link:
            what = "a link or a device" if is_link and not outside else "a place outside the archive"
            raise ArchiveError(f"{path} holds {name!r}, which is {what}; the archive is refused: get it from its provider.")


def _require(path: Path, member: str, known: list[str]) -> None:
    if member not in known:
        shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        raise ArchiveError(f"{path} has no member {member!r}; it holds {shown or 'nothing'}.")
