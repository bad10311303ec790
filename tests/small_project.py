"""A small project, in which everything is right until something is made wrong, and files and a server for it."""

from __future__ import annotations

import copy
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import toy
from conftest import ROOT
from translab.config import GROUPS
from translab.corpora.readers import SCHEMA
from translab.files import write_json, write_table
from translab.params import read_values

ABSENT = object()
"""In place of a value: it is not there."""
PROVENANCE = {"source_language": "en", "target_language": "zh", "licence": "free", "attribution": "the tests"}
TSV = {"format": "tsv", "source": 1, "target": 2}
JSONL = {"format": "jsonl", "source": "en", "target": "zh"}
PARQUET = {"format": "parquet", "source": "en", "target": "zh"}
TEXT = 'Good morning.\t早上好。\nHe said "no".\t他说“不”。\nNA\t无\n'
ROWS = [("Good morning.", "早上好。"), ('He said "no".', "他说“不”。"), ("NA", "无")]
STAGES = """\
stages:
  download: {params: [{corpora.yaml: ['${item.corpus}']}]}
  prepare: {params: [cleaning, splitting]}
  tokenizer: {params: [text]}
"""
VALUES = {
    "cleaning": {"minimum_length": 2, "maximum_length": 100, "maximum_ratio": 10.0, "simplified_chinese": True},
    "splitting": {"valid": 5, "test": 10, "seed": 1},
    "text": {"source_types": 20, "target_types": 22, "joint": False},
}
PAGE, OTHER_FILE = "<!DOCTYPE html><p>log in", "another file"
"""What the server sends."""
EARLIER = ("data/raw/toy/pairs.parquet", "data/text/b/train.parquet", "data/audit.json", "data/tokenizer/source.json", "run/a")
"""Results of an earlier call."""


@dataclass(frozen=True)
class Project:
    """A folder in which everything is right; a case makes something wrong."""

    folder: Path
    toys: Path
    server: str

    def write(self, name: str, content: bytes | str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def params(self, **changes: Any) -> None:
        """All of params.yaml, some values changed: `model_heads=5` or a whole section."""
        values = copy.deepcopy(base_values())
        for path, value in changes.items():
            section, _, key = path.partition("_")
            place, name = (values[section], key) if key else (values, section)
            if value is ABSENT:
                del place[name]
            else:
                place[name] = value
        self.write("params.yaml", json.dumps(values).replace("Infinity", ".inf"))
        for name in ("corpora.yaml", "claims.yaml"):
            (self.folder / name).write_bytes((ROOT / name).read_bytes())

    def corpus(self, entry: Mapping[str, Any]) -> None:
        self.write("corpora.yaml", json.dumps({"toy": {**PROVENANCE, **entry}}).replace("SERVER", self.server))

    def file(self, content: bytes | str, name: str = "a.tsv", **part: Any) -> None:
        """A corpus of one file."""
        self.write(name, content)
        self.corpus({"kind": "files", "parts": [{**TSV, "file": name, **part}]})

    def sides(self, source: str, target: str) -> None:
        """A corpus of two line-aligned files."""
        self.write("en.txt", source)
        self.write("zh.txt", target)
        self.corpus({"kind": "files", "parts": [{"format": "lines", "source": "en.txt", "target": "zh.txt"}]})

    def archive(self, name: str, content: bytes | str, member: str = "text/a.tsv") -> None:
        self.write(name, content)
        self.corpus({"kind": "files", "parts": [{**TSV, "archive": name, "file": member}]})

    def web(self, path: str, digest: str = "0" * 64) -> None:
        downloads = {"a.tsv": {"url": f"SERVER/{path}", "sha256": digest}}
        self.corpus({"kind": "url", "downloads": downloads, "parts": [{**TSV, "file": "a.tsv"}]})

    def raw(self, name: str, rows: list[tuple[str | None, ...]]) -> None:
        """A corpus as `download` leaves it."""
        columns = ("source", "target", "split")
        table = pa.Table.from_pylist([dict(zip(columns, row, strict=False)) for row in rows], schema=SCHEMA)
        write_table(self.folder / "data/raw" / name / "pairs.parquet", table)
        splits = {row[2]: 1 for row in rows if len(row) > 2} or None
        languages = {"source_language": "en", "target_language": "zh", "phrasebook": None}
        write_json(self.folder / "data/raw" / name / "manifest.json", {"corpus": name, "splits": splits, **languages})

    def in_the_way(self, name: str) -> None:
        """A file in place of a folder of earlier results."""
        shutil.rmtree(self.folder / name)
        self.write(name, "a file")

    def corpora(self, rows: list[tuple[str | None, ...]]) -> None:
        """Both tasks' corpora as `download` leaves them; these are B's rows."""
        self.raw("other", sentences("train", 60))
        self.raw("toy", rows)

    def texts(self, **values: Any) -> None:
        """Both tasks' texts as `prepare` leaves them, and other sizes of the vocabularies."""
        for task in ("a", "b"):
            toy.write_text(self.folder / "data/text" / task, train=50)
        self.write("params.yaml", json.dumps({**VALUES, "text": {**VALUES["text"], **values}}))

    def with_toys(self) -> None:
        """A text, vocabularies and two run folders."""
        shutil.copytree(self.toys, self.folder, dirs_exist_ok=True)

    def halve(self, name: str) -> None:
        """Take away a file's end."""
        content = (self.folder / name).read_bytes()
        self.write(name, content[: len(content) // 2])


@cache
def base_values() -> dict[str, Any]:
    """The project's params.yaml with a small grid."""
    values = read_values(ROOT / "params.yaml")
    values["model"] |= {"width": 64, "heads": 4, "dropout": 0.0}
    nothing = {"sources": [], "layers": [1], "surgeries": []}
    return values | {"methods": {}, "variants": {"base": {}}, "sweep": {"seeds": [1], **dict.fromkeys(GROUPS, nothing)}}


def sentences(word: str, count: int, *more: str) -> list[tuple[str | None, ...]]:
    return [(f"the {word} {number}", f"第{number}个{word}", *more) for number in range(count)]


def zipped(members: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if name in links else 0o100644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if name in links:
                info.type, info.linkname = tarfile.SYMTYPE, content.decode()
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PACKERS = {"a.zip": zipped, "a.tar.gz": tarred}
MEMBER = {"text/a.tsv": TEXT.encode()}


def parquet(columns: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), buffer)
    return buffer.getvalue()


class Server(BaseHTTPRequestHandler):
    """Sends what was not asked for."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        status, body = {"/page": (200, PAGE), "/file": (200, OTHER_FILE), "/local": (302, "")}.get(self.path, (404, ""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "file:///etc/passwd")
        self.end_headers()
        self.wfile.write(body.encode())
