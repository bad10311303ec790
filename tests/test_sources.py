"""Corpora come in whole and right, or not at all, with an error that says what to do."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import lzma
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from small_project import PACKERS, zipped
from translab.config import ConfigError, check_corpus
from translab.corpora import fetching
from translab.corpora.fetching import DownloadError, fetch
from translab.corpora.readers import CorpusError, Row
from translab.corpora.sources import fetch_corpus
from translab.files import read_json, read_table
from translab.params import read_yaml

PROVENANCE = {"source_language": "en", "target_language": "zh", "licence": "free", "attribution": "the tests"}
TEXT = 'Good morning.\t早上好。\nHe said "no".\t他说“不”。\nNA\t无\n'
ROWS = [("Good morning.", "早上好。"), ('He said "no".', "他说“不”。"), ("NA", "无")]
ROOT = Path(__file__).parent.parent


def load(entry: dict[str, Any], folder: Path) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Fetch a corpus; the rows and the manifest as they lie on disk."""
    target = folder / "raw" / "toy"
    fetch_corpus("toy", check_corpus("toy", PROVENANCE | entry), target, folder / "cache")
    table = read_table(target / "pairs.parquet")
    assert table.schema.names == ["source", "target", "group", "tag", "split", "wrong", "translations"]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    if entry["kind"] != "phrasebook":
        assert {row[5:] for row in rows} == {(None, None)}, "only the phrasebook knows wrong translations and all right ones"
        rows = [row[:5] for row in rows]
    return rows, read_json(target / "manifest.json")


def pairs(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row[:2] for row in rows]


def files(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "files", "parts": list(parts), **more}


# ---- entries ------------------------------------------------------------------------------------------------------------


def test_every_entry_of_corpora_yaml_is_valid_and_the_promised_ones_are_there() -> None:
    entries = read_yaml(ROOT / "corpora.yaml")
    assert {
        "phrasebook-everyday",
        "phrasebook-travel",
        "tatoeba-cmn-eng",
        "tatoeba-fra-eng",
        "multi30k-en-de",
        "opus100-en-zh",
        "iwslt14-de-en",
    } <= set(entries)
    for name, values in entries.items():
        check_corpus(name, values)


TSV = {"format": "tsv", "file": "a.tsv", "source": 1, "target": 2}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "ftp"}, "corpora.yaml: toy.kind: found 'ftp', allowed are hub, url, files, phrasebook."),
        (
            files({"format": "csv"}),
            "corpora.yaml: toy.parts.0.format: found 'csv', allowed are lines, tsv, jsonl, parquet.",
        ),
        (files(TSV | {"sorce": 1}), "corpora.yaml: toy.parts.0.sorce is not a known value. Did you mean `source`?"),
        (
            files(TSV | {"split": "train"}, TSV | {"split": "test"}),
            "corpora.yaml: toy: published splits need train, valid and test on every part, found test, train; "
            "name them all, or train alone and the corpus is split by connected component.",
        ),
    ],
)
def test_a_wrong_entry_is_named_in_one_sentence(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_corpus("toy", PROVENANCE | entry)
    assert str(error.value) == message


def test_a_hub_revision_is_a_whole_commit() -> None:
    entry = {
        "kind": "hub",
        "dataset": "x/y",
        "revision": "main",
        "columns": {"source": "a", "target": "b"},
        "splits": {"train": "train"},
    }
    with pytest.raises(ConfigError, match=r"^corpora.yaml: toy.revision: .*found 'main'\.$"):
        check_corpus("toy", PROVENANCE | entry)


# ---- files --------------------------------------------------------------------------------------------------------------


def test_a_users_tsv_needs_one_entry_and_is_read_literally(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text(TEXT, encoding="utf-8")
    rows, manifest = load(files(TSV | {"file": str(tmp_path / "mine.tsv")}), tmp_path)
    assert rows == [(source, target, None, None, None) for source, target in ROWS]
    assert manifest == PROVENANCE | {
        "corpus": "toy",
        "kind": "files",
        "source": [str(tmp_path / "mine.tsv")],
        "revision": None,
        "phrasebook": None,
        "grammar": None,
        "sha256": {
            str(tmp_path / "mine.tsv"): hashlib.sha256(TEXT.encode()).hexdigest(),
            "pairs.parquet": manifest["sha256"]["pairs.parquet"],
        },
        "pairs": 3,
        "splits": None,
    }


def test_a_line_separator_inside_a_sentence_does_not_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("a\u2028b\x0bc\tx\n", encoding="utf-8")
    rows, _ = load(files(TSV | {"file": str(tmp_path / "mine.tsv")}), tmp_path)
    assert pairs(rows) == [("a\u2028b\x0bc", "x")]


def test_columns_may_be_named_by_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("id\tzh\ten\tdocument\n7\t早\tmorning\td1\n", encoding="utf-8")
    part = {
        "format": "tsv",
        "file": str(tmp_path / "mine.tsv"),
        "source": "en",
        "target": "zh",
        "group": "document",
        "tag": "id",
    }
    rows, _ = load(files(part), tmp_path)
    assert rows == [("morning", "早", "d1", "7", None)]


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_aligned_files_plain_or_compressed_with_published_splits(tmp_path: Path, suffix: str) -> None:
    parts = []
    for split in ("train", "valid", "test", "test-2017"):
        names = {"source": f"{split}.en{suffix}", "target": f"{split}.zh{suffix}"}
        for side, name in names.items():
            (tmp_path / name).write_bytes(COMPRESSIONS[suffix](f"{side} 1\n\n{side} {split}\n".encode()))
        parts.append({"format": "lines", "split": split, **{side: str(tmp_path / name) for side, name in names.items()}})
    rows, manifest = load(files(*parts), tmp_path)
    assert rows[:3] == [
        ("source 1", "target 1", None, None, "train"),
        ("", "", None, None, "train"),
        ("source train", "target train", None, None, "train"),
    ]
    assert manifest["splits"] == {"train": 3, "valid": 3, "test": 3, "test-2017": 3}


def test_nested_columns_of_jsonl_and_parquet(tmp_path: Path) -> None:
    records = [{"translation": {"en": source, "zh": target}, "document": 3} for source, target in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for form in ("jsonl", "parquet"):
        part = {
            "format": form,
            "file": str(tmp_path / f"a.{form}"),
            "source": "translation.en",
            "target": "translation.zh",
            "group": "document",
        }
        rows, _ = load(files(part), tmp_path)
        assert rows == [(source, target, "3", None, None) for source, target in ROWS]


def test_a_file_with_the_declared_hash_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text(TEXT, encoding="utf-8")
    declared = {str(path): hashlib.sha256(TEXT.encode()).hexdigest()}
    assert pairs(load(files(TSV | {"file": str(path)}, sha256=declared), tmp_path)[0]) == ROWS


# ---- archives -----------------------------------------------------------------------------------------------------------


def archived(path: Path, member: str = "text/a.tsv") -> dict[str, Any]:
    return files(TSV | {"archive": str(path), "file": member})


@pytest.mark.parametrize("name", PACKERS)
def test_a_member_of_an_archive_is_read_and_may_itself_be_compressed(tmp_path: Path, name: str) -> None:
    members = {"_about.txt": b"about", "text/a.tsv": TEXT.encode(), "text/b.tsv.gz": gzip.compress(TEXT.encode())}
    (tmp_path / name).write_bytes(PACKERS[name](members))
    for member in ("text/a.tsv", "text/b.tsv.gz"):
        assert pairs(load(archived(tmp_path / name, member), tmp_path)[0]) == ROWS


# ---- url ----------------------------------------------------------------------------------------------------------------

ARCHIVE = zipped({"cmn.txt": (TEXT * 3000).encode()})
BODY = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Provider(BaseHTTPRequestHandler):
    """A provider of files; what it does to a client is chosen by the path."""

    seen: list[tuple[str, str | None, str]]
    deaths: int

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).seen.append((self.path, wanted, self.headers["User-Agent"]))
        getattr(self, "_" + self.path.strip("/").partition("/")[0])(wanted)

    def _answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _good(self, _: str | None) -> None:
        if self.headers["User-Agent"].startswith("python-requests"):
            self._answer(b"", 403)
        else:
            self._answer(BODY, Content_Length=str(len(BODY)))

    def _archive(self, _: str | None) -> None:
        self._answer(ARCHIVE, Content_Length=str(len(ARCHIVE)))

    def _missing(self, _: str | None) -> None:
        self._answer(b"", 404)

    def _busy(self, wanted: str | None) -> None:
        if len(type(self).seen) < 3:
            self._answer(b"", 503)
        else:
            self._good(wanted)

    def _dies(self, wanted: str | None) -> None:
        """Says it sends everything, sends a third of what is left and hangs up; ranges are honoured."""
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        rest = BODY[start:]
        sent = rest if type(self).deaths <= 0 else rest[: len(rest) // 3]
        type(self).deaths -= 1
        self._answer(
            sent,
            206 if wanted else 200,
            Content_Length=str(len(rest)),
            Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}",
        )

    def _forgetful(self, _: str | None) -> None:
        """Breaks off once, and knows no ranges."""
        sent = BODY if type(self).deaths <= 0 else BODY[:1000]
        type(self).deaths -= 1
        self._answer(sent, Content_Length=str(len(BODY)))

    def _moved(self, _: str | None) -> None:
        self._answer(b"", 302, Location="/good")

    def _round(self, _: str | None) -> None:
        self._answer(b"", 302, Location="/round")


@pytest.fixture
def provider() -> Iterator[tuple[str, type[Provider]]]:
    handler = type("Handler", (Provider,), {"seen": [], "deaths": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def get(url: str, folder: Path, digest: str = DIGEST) -> Path:
    return fetch(url, digest, "corpus.bin", folder / "cache", pauses=(0, 0, 0, 0))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_the_right_file_is_fetched_once_and_with_an_agent_of_its_own(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    assert get(f"{address}/good", tmp_path).read_bytes() == BODY
    assert get(f"{address}/good", tmp_path).read_bytes() == BODY
    assert [(path, wanted) for path, wanted, _ in handler.seen] == [("/good", None)]
    assert handler.seen[0][2].startswith("translab")


def test_a_url_corpus_is_read_from_a_member_of_its_archive(tmp_path: Path, provider: Any) -> None:
    address, _ = provider
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    entry = {
        "kind": "url",
        "downloads": {"cmn-eng.zip": {"url": f"{address}/archive", "sha256": digest}},
        "parts": [TSV | {"archive": "cmn-eng.zip", "file": "cmn.txt"}],
    }
    rows, manifest = load(entry, tmp_path)
    assert pairs(rows) == ROWS * 3000
    assert (manifest["pairs"], manifest["source"]) == (9000, {"cmn-eng.zip": f"{address}/archive"})
    assert manifest["sha256"]["cmn-eng.zip"] == digest
    with pytest.raises(CorpusError) as error:
        load(entry | {"parts": [TSV | {"archive": "cmn.zip"}]}, tmp_path)
    assert str(error.value) == "corpora.yaml: 'cmn.zip' is not one of the entry's downloads; they are cmn-eng.zip."


def test_a_missing_file_is_not_asked_for_again(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    with pytest.raises(DownloadError) as error:
        get(f"{address}/missing", tmp_path)
    assert str(error.value) == f"{address}/missing: the server answered 404 Not Found; look at the address in corpora.yaml."
    assert len(handler.seen) == 1


def test_a_busy_server_is_asked_again(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    assert get(f"{address}/busy", tmp_path).read_bytes() == BODY
    assert len(handler.seen) == 3


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    handler.deaths = 2
    assert get(f"{address}/dies", tmp_path).read_bytes() == BODY
    starts = [int(wanted.strip("bytes=-")) if wanted else 0 for _, wanted, _ in handler.seen]
    assert len(starts) == 3
    for before, start in itertools.pairwise(starts):
        sent = before + (len(BODY) - before) // 3
        assert sent - fetching.CHUNK < start <= sent


def test_what_a_failed_run_fetched_is_kept_for_the_next(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    handler.deaths = 5
    with pytest.raises(DownloadError) as error:
        get(f"{address}/dies", tmp_path)
    assert left(tmp_path) == ["corpus.bin.part"]
    kept = next(tmp_path.rglob("*.part")).stat().st_size
    assert str(error.value).startswith(f"{address}/dies could not be fetched in 5 attempts, the last one failed with: ")
    assert str(error.value).endswith(f"; {kept:,} bytes are kept: run the command again to go on from there.")
    handler.seen.clear()
    assert get(f"{address}/dies", tmp_path).read_bytes() == BODY
    assert [wanted for _, wanted, _ in handler.seen] == [f"bytes={kept}-"]


def test_a_server_without_ranges_starts_again(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    handler.deaths = 1
    assert get(f"{address}/forgetful", tmp_path).read_bytes() == BODY
    assert len(handler.seen) == 2


def test_a_rest_that_does_not_fit_the_beginning_is_fetched_anew(tmp_path: Path, provider: Any) -> None:
    address, handler = provider
    part = tmp_path / "cache" / DIGEST / "corpus.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of an older version")
    assert get(f"{address}/dies", tmp_path).read_bytes() == BODY
    assert [wanted for _, wanted, _ in handler.seen] == ["bytes=19-", None]


def test_redirects_are_followed_only_to_http(tmp_path: Path, provider: Any) -> None:
    address, _ = provider
    assert get(f"{address}/moved", tmp_path / "moved").read_bytes() == BODY
    with pytest.raises(DownloadError) as error:
        get(f"{address}/round", tmp_path)
    assert str(error.value) == f"{address}/round was redirected more than 5 times; look at the address in corpora.yaml."


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"^http://127.0.0.1:9/x could not be fetched in 5 attempts, .*; 0 bytes are kept: "
    ):
        get("http://127.0.0.1:9/x", tmp_path)


# ---- hub ----------------------------------------------------------------------------------------------------------------


def hub(dataset: Path, **more: Any) -> dict[str, Any]:
    return {
        "kind": "hub",
        "dataset": str(dataset),
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "columns": {"source": "translation.en", "target": "translation.zh"},
        "splits": {"train": "train", "valid": "validation", "test": "test"},
    } | more


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A dataset repository as the hub holds it: a card with configurations, and Parquet files by split."""
    folder = tmp_path / "hub" / "opus"
    (folder / "en-zh").mkdir(parents=True)
    card = ["---", "configs:", "- config_name: en-zh", "  data_files:"]
    for split in ("train", "validation", "test"):
        records = [{"translation": {"en": f"{source} {split}", "zh": target}} for source, target in ROWS]
        pq.write_table(pa.Table.from_pylist(records), folder / "en-zh" / f"{split}-00000-of-00001.parquet")
        card += [f"  - split: {split}", f"    path: en-zh/{split}-*"]
    (folder / "README.md").write_text("\n".join([*card, "---", "# OPUS"]), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_hub_dataset_is_read_by_configuration_split_and_nested_column(tmp_path: Path, repository: Path) -> None:
    rows, manifest = load(hub(repository, configuration="en-zh"), tmp_path)
    assert rows == [
        (f"{source} {theirs}", target, None, None, ours)
        for ours, theirs in (("train", "train"), ("valid", "validation"), ("test", "test"))
        for source, target in ROWS
    ]
    assert (manifest["revision"], manifest["splits"]) == (hub(repository)["revision"], {"train": 3, "valid": 3, "test": 3})


def test_an_unknown_split_or_column_of_a_hub_dataset_is_named(tmp_path: Path, repository: Path) -> None:
    where = f"{repository} at {hub(repository)['revision']}"
    with pytest.raises(CorpusError) as error:
        load(hub(repository, configuration="en-zh", splits={"train": "training"}), tmp_path)
    assert str(error.value) == f"{where} has no split 'training'; it has train, validation, test."
    with pytest.raises(CorpusError) as error:
        load(hub(repository, configuration="en-zh", columns={"source": "translation.en", "target": "translation.fr"}), tmp_path)
    assert str(error.value) == f"{repository} train row 1 has no field 'translation.fr'; it holds en, zh."
    with pytest.raises(CorpusError) as error:
        load(hub(repository, configuration="en-fr"), tmp_path)
    assert str(error.value).startswith(f"{where} cannot be loaded from the hub: ")


def test_the_hub_is_asked_for_the_pinned_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = {}

    def away(name: str, configuration: str, **more: Any) -> None:
        asked.update(more, name=name, configuration=configuration)
        raise ConnectionError("no route to the hub\nmore lines")

    monkeypatch.setattr(datasets, "load_dataset_builder", away)
    entry = read_yaml(ROOT / "corpora.yaml")["opus100-en-zh"]
    with pytest.raises(CorpusError) as error:
        load(entry, tmp_path)
    assert (asked["name"], asked["configuration"], asked["revision"]) == ("Helsinki-NLP/opus-100", "en-zh", entry["revision"])
    assert str(error.value) == (
        f"Helsinki-NLP/opus-100 at {entry['revision']} cannot be loaded from the hub: no route to the hub"
    )


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_text_files_of_a_hub_dataset_are_read_without_loss(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "hub" / suffix
    folder.mkdir(parents=True)
    if suffix == "jsonl":
        text = "".join(json.dumps({"en": source, "zh": target}) + "\n" for source, target in ROWS)
    else:
        rows = [(source.replace('"', '""'), target) for source, target in ROWS] if suffix == "csv" else ROWS
        text = "en\tzh\n" + "".join(f"{source}\t{target}\n" for source, target in rows)
        if suffix == "csv":
            text = "en,zh\n" + "".join(f'"{source}","{target}"\n' for source, target in rows)
    for split in ("train", "validation", "test"):
        # Spreadsheets begin their files with a byte-order mark.
        (folder / f"{split}.{suffix}").write_text(text, encoding="utf-8" if suffix == "jsonl" else "utf-8-sig")
    rows_found, _ = load(hub(folder, columns={"source": "en", "target": "zh"}), tmp_path)
    assert pairs(rows_found) == ROWS * 3


# ---- phrasebook ---------------------------------------------------------------------------------------------------------


SIZES = {"train": 320, "valid": 30, "test": 40, "compositional": 10, "longer": 10}
PHRASEBOOK = {"kind": "phrasebook", "task": "travel", "sizes": SIZES, "probe_items": 20, "seed": 5}


def test_the_phrasebook_brings_splits_probes_right_and_wrong_translations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    rows = [
        ("Hello.", "你好。", None, '{"depth": 1}', "train", None, None),
        ("Hi.", "你好！", None, '{"depth": 1}', "test-longer", None, ["你好！", "嗨。"]),
        ("The dog bit the man.", "狗咬了人。", "twin 1", '{"depth": 1}', "probe-word-order", "人咬了狗。", ["狗咬了人。"]),
    ]

    def corpus(*arguments: Any) -> Iterator[Any]:
        asked.append(arguments)
        for row in rows:
            yield types.SimpleNamespace(**dict(zip(Row._fields, row, strict=True)))

    book = types.SimpleNamespace(corpus=corpus, load=lambda task: types.SimpleNamespace(digest=f"digest of {task}"))
    monkeypatch.setitem(sys.modules, "translab.corpora.phrasebook", book)
    found, manifest = load(PHRASEBOOK, tmp_path)
    assert asked == [("travel", SIZES, 20, 5)]
    assert found == rows
    assert manifest["splits"] == {"train": 1, "test-longer": 1, "probe-word-order": 1}
    assert {key: manifest[key] for key in ("kind", "source", "phrasebook", "grammar")} == {
        "kind": "phrasebook",
        "source": "phrasebook",
        "phrasebook": "travel",
        "grammar": "digest of travel",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe_items": 5}, "corpora.yaml: toy.probe_items: input should be a multiple of 2, found 5."),
        ({"probe_item": 20}, "corpora.yaml: toy.probe_item is not a known value. Did you mean `probe_items`?"),
        (
            {"sizes": SIZES | {"train": 0}},
            "corpora.yaml: toy.sizes.train: input should be greater than or equal to 1, found 0.",
        ),
        ({"sizes": {"train": 320}}, "corpora.yaml: toy.sizes.valid is missing; give it a value."),
        (
            {"sizes": SIZES | {"long": 3}},
            "corpora.yaml: toy.sizes.long is not a known value. Did you mean `longer`?",
        ),
    ],
)
def test_a_wrong_phrasebook_entry_is_named_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_corpus("toy", PROVENANCE | PHRASEBOOK | change)
    assert str(error.value) == message


def test_fetching_again_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text(TEXT, encoding="utf-8")
    entry = files(TSV | {"file": str(tmp_path / "mine.tsv")})
    first = load(entry, tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "raw" / "toy").iterdir()}
    assert load(entry, tmp_path) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw" / "toy").iterdir()} == before


def test_slow_libraries_are_imported_only_by_the_kind_that_needs_them() -> None:
    slow = "{'datasets', 'requests', 'translab.corpora.phrasebook'}"
    script = f"import sys, translab.corpora.sources; print({slow} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
