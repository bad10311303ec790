"""Coverage-guided fuzzing of the corpus readers: whatever bytes a file holds, it is read, or refused in one sentence of ours.

    pip install atheris
    python -m benchmarks.fuzzing --minutes 20

An input's first byte names a kind of file, and the rest is its content; line-aligned files have two contents, each a half. The
run starts from a valid file of each kind. What is read goes into an Arrow table, as in `download`. An exception that is not
ours is printed once with its traceback, its input is kept in `--findings`, and the run goes on; in the end executions are
counted.
"""

from __future__ import annotations

# What is watched is imported first, so that it is imported under watch.
import atheris

with atheris.instrument_imports(include=["translab.corpora", "zipfile", "tarfile", "gzip", "lzma", "json", "csv"]):
    import csv  # noqa: F401
    import gzip
    import json
    import lzma
    import tarfile
    import zipfile

    from translab.corpora.readers import SCHEMA, Row, read_csv, read_part

import argparse
import io
import sys
import tempfile
import traceback
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from translab import config

ROWS = 1000
"""Rows that are read of an input."""
COLUMNS = config.Columns(source="en", target="zh", group="id", tag="tag")
TSV = {"format": "tsv", "source": 1, "target": 2, "group": 3}
NAMED = {"source": "en", "target": "zh", "group": "id", "tag": "tag"}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("a.tsv", TSV),
    ("a.tsv", {"format": "tsv", **NAMED}),
    ("a.tsv.gz", TSV),
    ("a.tsv.xz", TSV),
    ("a.zip", {**TSV, "archive": "a.zip", "file": "a.tsv"}),
    ("a.zip", {**TSV, "archive": "a.zip", "file": "a.tsv.gz"}),
    ("a.tar", {**TSV, "archive": "a.tar", "file": "a.tsv"}),
    ("a.tar.gz", {**TSV, "archive": "a.tar.gz", "file": "a.tsv"}),
    ("a.tar.xz", {**TSV, "archive": "a.tar.xz", "file": "a.tsv"}),
    ("a.jsonl", {"format": "jsonl", **NAMED}),
    ("a.jsonl", {"format": "jsonl", "source": "t.en", "target": "t.zh"}),
    ("a.parquet", {"format": "parquet", **NAMED}),
    ("a.csv", {}),
    ("a.en", {"format": "lines", "source": "a.en", "target": "a.zh"}),
]
"""What a file is called, and the entry's part that reads it; without a part it is a comma-separated file."""


def parts() -> list[Any]:
    """The part of each kind, None for a comma-separated file."""
    provenance = {"source_language": "en", "target_language": "zh", "licence": "free", "attribution": "made up"}
    checked = []
    for name, part in KINDS:
        named = part if part.get("format") == "lines" else {"file": name, **part}
        entry: Any = config.check_corpus(name, {"kind": "files", "parts": [named], **provenance}) if part else None
        checked.append(entry and entry.parts[0])
    return checked


def seeds(folder: Path) -> None:
    """A valid input of each kind."""
    tsv = "en\tzh\tid\ttag\nGood morning.\t早上好。\t1\tx\n\nNA\t“不”\t2\ty\n".encode()
    record = {"en": "Good morning.", "zh": "早上好。", "id": 1, "tag": None, "t": {"en": "a", "zh": "好"}}
    jsonl = f"{json.dumps(record)}\n{json.dumps(record, ensure_ascii=False)}\n".encode()
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([record] * 3), buffer)
    csv = 'en,zh,id,tag\n"Good, ""morning"".",早上好。,1,\n'.encode()
    packed: dict[str, Callable[[], bytes]] = {
        "a.tsv": lambda: tsv,
        "a.tsv.gz": lambda: gzip.compress(tsv),
        "a.tsv.xz": lambda: lzma.compress(tsv),
        "a.zip": lambda: _zipped({"a.tsv": tsv, "a.tsv.gz": gzip.compress(tsv)}),
        "a.tar": lambda: _tarred(tsv, "w"),
        "a.tar.gz": lambda: _tarred(tsv, "w:gz"),
        "a.tar.xz": lambda: _tarred(tsv, "w:xz"),
        "a.jsonl": lambda: jsonl,
        "a.parquet": buffer.getvalue,
        "a.csv": lambda: csv,
        "a.en": lambda: b"a\nb\na\nb\n",
    }
    for kind, (name, _) in enumerate(KINDS):
        (folder / str(kind)).write_bytes(bytes([kind]) + packed[name]())


def _zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tarred(content: bytes, mode: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        member = tarfile.TarInfo("a.tsv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def read(data: bytes, part: Any, folder: Path) -> None:
    """Read an input as `download` would."""
    name, _ = KINDS[data[0] % len(KINDS)]
    content = data[1:]
    if name == "a.en":
        half = len(content) // 2
        (folder / "a.zh").write_bytes(content[half:])
        content = content[:half]
    (folder / name).write_bytes(content)
    rows = read_part(part, lambda file: folder / file) if part else read_csv(folder / name, name, COLUMNS, None)
    columns: list[tuple[Any, ...]] = list(zip(*islice(rows, ROWS), strict=True))
    for column, field in zip(columns or [()] * len(Row._fields), SCHEMA, strict=True):
        pa.array(column, field.type)


def main(minutes: float, findings: Path) -> None:
    """Fuzz; the process ends in `atheris.Fuzz`."""
    folder = Path(tempfile.mkdtemp())
    inputs = folder / "inputs"
    inputs.mkdir()
    seeds(inputs)
    known: set[tuple[str, str, int]] = set()
    kinds = parts()

    def one(data: bytes) -> None:
        if not data:
            return
        try:
            read(data, kinds[data[0] % len(kinds)], folder)
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "translab":
                return
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = (type(error).__name__, last.filename, last.lineno or 0)
            if place not in known:
                known.add(place)
                findings.mkdir(parents=True, exist_ok=True)
                (findings / f"{len(known)}.bin").write_bytes(data)
                print(f"finding {len(known)}: {KINDS[data[0] % len(KINDS)][0]}", flush=True)
                traceback.print_exc()

    limits = ["-max_len=4096", "-rss_limit_mb=2048", "-timeout=60", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], f"-max_total_time={round(60 * minutes)}", *limits, str(inputs)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="how long to run")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder of inputs that raised something else")
    chosen = parser.parse_args()
    main(chosen.minutes, chosen.findings)
