r"""Files of parallel text → rows, strictly: UTF-8 or an error with file and line, never a guess.

No reader quotes, escapes, or knows special words: a tab-separated field that holds `"` or `NA` is that text (the usual CSV
loaders merge lines at a quotation mark and turn `NA` into nothing). A byte-order mark is dropped, `\r\n` ends a line like
`\n`, and nothing else does.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from translab import config
from translab.corpora.archives import opened

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NO_TEXT = {
    b"\xff\xfe": "UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\x1f\x8b": "compressed with gzip; give it a name that ends in .gz",
    b"\xfd7zXZ": "compressed with xz; give it a name that ends in .xz",
    b"PK\x03\x04": "a zip file; declare it as `archive`, and its member as the file",
}
"""How files begin that are not UTF-8 text, and what to do with them."""
Locate = Callable[[str], Path]


class CorpusError(ValueError):
    """A corpus cannot be read; the message says where, what was found, and what to do."""


class Row(NamedTuple):
    """One sentence pair as its source gives it; only the phrasebook knows wrong translations and all the right ones."""

    source: str
    target: str
    group: str | None
    tag: str | None
    split: str | None
    wrong: str | None = None
    translations: list[str] | None = None


SCHEMA = pa.schema([(name, pa.string()) for name in Row._fields[:-1]] + [("translations", pa.list_(pa.string()))])


def read_part(part: config.AnyPart, locate: Locate) -> Iterator[Row]:
    """The rows of one part.

    Args:
        part: what to read.
        locate: gives the path of a file, or of an archive, that the part names.
    """
    match part:
        case config.LinesPart():
            with _opened(part, part.source, locate) as source, _opened(part, part.target, locate) as target:
                yield from _aligned(part, text_lines(source, part.source), text_lines(target, part.target))
        case config.TsvPart():
            with _opened(part, part.file, locate) as file:
                yield from _tsv(part, text_lines(file, part.file))
        case config.JsonlPart():
            with _opened(part, part.file, locate) as file:
                yield from _jsonl(part, text_lines(file, part.file))
        case config.ParquetPart():
            with _opened(part, part.file, locate) as file:
                yield from _parquet(part, file)


def _opened(part: config.Part, name: str, locate: Locate) -> Any:
    return opened(locate(name)) if part.archive is None else opened(locate(part.archive), name)


def text_lines(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines of a UTF-8 file without their ends."""
    for number, raw in enumerate(file, start=1):
        line = _first(raw, name) if number == 1 else raw
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{name} line {number}: byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8; "
                "convert the file, for example with `iconv -f GB18030 -t UTF-8`."
            ) from None


def _first(line: bytes, name: str) -> bytes:
    """The first line without its byte-order mark, if it does not show that the file is no UTF-8 text.

    UTF-16 may well be read as UTF-8, and a file whose lines end in carriage returns as one line.
    """
    for beginning, found in NO_TEXT.items():
        if line.startswith(beginning):
            raise CorpusError(f"{name} is {found}.")
    if 4 * line.count(0) >= len(line):
        raise CorpusError(
            f"{name} line 1: {line.count(0)} of {len(line)} bytes are NUL, so it is UTF-16 or no text; "
            "convert it, for example with `iconv -f UTF-16LE -t UTF-8`."
        )
    if not line.endswith(b"\n") and b"\r" in line.rstrip(b"\r"):
        raise CorpusError(f"{name} is one line with carriage returns in it; end its lines in line feeds: `tr '\\r' '\\n'`.")
    return line.removeprefix(BYTE_ORDER_MARK)


def _aligned(part: config.LinesPart, sources: Iterator[str], targets: Iterator[str]) -> Iterator[Row]:
    lines = zip_longest(sources, targets)
    for pairs, (source, target) in enumerate(lines):
        if source is None or target is None:
            counts = [pairs, pairs + 1 + sum(1 for _ in lines)]
            first, second = counts if source is None else reversed(counts)
            raise CorpusError(
                f"{part.source} has {first:,} lines and {part.target} has {second:,}; line-aligned files need equally many: "
                "find the line that one of them lacks."
            )
        yield Row(source, target, None, None, part.split)


def _tsv(part: config.TsvPart, lines: Iterator[str]) -> Iterator[Row]:
    wanted = [part.source, part.target, part.group, part.tag]
    start = 1
    if any(isinstance(column, str) for column in wanted):
        start = 2
        header = next(lines, "").split("\t")
        wanted = [_numbered(column, header, part.file) for column in wanted]
    indices = [column - 1 if isinstance(column, int) else None for column in wanted]
    needed = max(index for index in indices if index is not None) + 1
    for number, line in enumerate(lines, start=start):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < needed:
            raise CorpusError(
                f"{part.file} line {number} has {len(fields)} tab-separated fields, {needed} are needed: {line[:60]!r}; "
                "correct the line or the entry's columns."
            )
        source, target, group, tag = (None if index is None else fields[index] for index in indices)
        yield Row(source or "", target or "", group, tag, part.split)


def _numbered(column: config.Column | None, header: list[str], name: str) -> int | None:
    if not isinstance(column, str):
        return column
    if column not in header:
        raise CorpusError(f"{name} has no column {column!r}; its first line gives {', '.join(header)}.")
    return header.index(column) + 1


def _jsonl(part: config.JsonlPart, lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{part.file} line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{where} is not JSON ({error}); one object a line is needed.") from None
            row = row_of(record, part.source, part.target, part.group, part.tag, part.split, where)
            try:
                "".join(filter(None, row[:4])).encode()  # an escape can be what UTF-8 cannot hold
            except UnicodeEncodeError as error:
                half = ord(error.object[error.start])
                raise CorpusError(f"{where} has \\u{half:04x}, half of a character; correct the escape.") from None
            yield row


def _parquet(part: config.ParquetPart, file: IO[bytes]) -> Iterator[Row]:
    # Parquet is read from its end, so a stream that only runs forward is taken into memory.
    try:
        table = pq.ParquetFile(io.BytesIO(file.read()))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise CorpusError(f"{part.file} is not a Parquet file ({reason}); fetch or copy it again.") from None
    number = 0
    for records in _batches(table, part.file):
        for record in records:
            number += 1
            yield row_of(record, part.source, part.target, part.group, part.tag, part.split, f"{part.file} row {number}")


def _batches(table: pq.ParquetFile, name: str) -> Iterator[list[Any]]:
    batches = table.iter_batches()
    while True:
        try:
            batch = next(batches, None)
            records = None if batch is None else batch.to_pylist()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0]
            raise CorpusError(f"{name} is damaged ({reason}); fetch or copy it again.") from None
        if records is None:
            return
        yield records


def read_csv(path: Path, name: str, columns: config.Columns, split: str | None) -> Iterator[Row]:
    """Rows of a comma-separated file with a header (RFC 4180 quoting); every field is text, `NA` and the empty field too."""
    with opened(path) as file:
        # newline="" leaves line ends inside quoted fields to the csv module.
        reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
        try:
            for record in reader:
                yield row_of(
                    record, columns.source, columns.target, columns.group, columns.tag, split, f"{name} line {reader.line_num}"
                )
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorpusError(f"{name} after line {reader.line_num}: {error}; save it as comma-separated UTF-8.") from None


def row_of(
    record: Any,
    source: config.Column,
    target: config.Column,
    group: config.Column | None,
    tag: config.Column | None,
    split: str | None,
    where: str,
) -> Row:
    """A row from a record with named fields; a dot in a column leads into a structure. A null sentence is an empty one."""
    return Row(
        _field(record, source, where) or "",
        _field(record, target, where) or "",
        None if group is None else _field(record, group, where),
        None if tag is None else _field(record, tag, where),
        split,
    )


def _field(record: Any, column: config.Column, where: str) -> str | None:
    value = record
    for key in str(column).split("."):
        if not isinstance(value, dict) or key not in value:
            found = ", ".join(map(str, value)) if isinstance(value, dict) else repr(value)[:60]
            raise CorpusError(f"{where} has no field {str(column)!r}; it holds {found}.")
        value = value[key]
    if isinstance(value, (dict, list, bytes)):
        raise CorpusError(f"{where}: field {str(column)!r} is not text but {type(value).__name__}.")
    return None if value is None else str(value)
