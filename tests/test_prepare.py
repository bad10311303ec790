"""What `prepare` writes is what later stages read, and a leak fails the stage with nothing written."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translab.config import Cleaning, ConfigError, Splitting, check_corpus
from translab.corpora import preparation
from translab.corpora.audit import LeakageError, words
from translab.corpora.preparation import prepare
from translab.corpora.readers import SCHEMA
from translab.corpora.sources import fetch_corpus
from translab.corpora.splitting import normalised
from translab.files import read_json, read_table, write_json, write_table

ROOT = Path(__file__).parent.parent
CLEANING = Cleaning(minimum_length=1, maximum_length=100, maximum_ratio=10.0, simplified_chinese=True)
SPLITTING = Splitting(valid=10, test=20, seed=1)


def raw(
    folder: Path, name: str, rows: list[tuple[Any, ...]], target_language: str = "zh", phrasebook: str | None = None
) -> Path:
    """A raw corpus as `download` writes it; what a row leaves out is null."""
    columns = zip(*[(*row, *[None] * (len(SCHEMA) - len(row))) for row in rows], strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    write_table(folder / "raw" / name / "pairs.parquet", pa.table(arrays, schema=SCHEMA))
    manifest = {
        "corpus": name,
        "splits": {split: 1 for row in rows if len(row) > 4 for split in [row[4]]} or None,
        "source_language": "en",
        "target_language": target_language,
        "phrasebook": phrasebook,
    }
    write_json(folder / "raw" / name / "manifest.json", manifest)
    return folder / "raw" / name


def made(count: int, word: str, seed: int) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    return [
        (f"the {word} number {generator.randrange(count)}", f"第{generator.randrange(count)}個{word}") for _ in range(count)
    ]


def run(folder: Path, a: Path, b: Path) -> dict[str, Any]:
    return prepare({"a": a, "b": b}, folder / "text", folder / "audit.json", CLEANING, SPLITTING)


def texts(path: Path) -> list[tuple[str, str]]:
    table = read_table(path)
    return list(zip(table.column("source").to_pylist(), table.column("target").to_pylist(), strict=True))


def test_the_files_and_the_audit_are_as_agreed(tmp_path: Path) -> None:
    a = raw(tmp_path, "toy-a", made(400, "train", 1) + made(50, "cat", 3), "zh")
    b = raw(tmp_path, "toy-b", made(200, "cat", 2))
    audit = run(tmp_path, a, b)
    assert read_json(tmp_path / "audit.json") == audit
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "text").rglob("*") if path.is_file()) == [
        f"text/{task}/{name}"
        for task in "ab"
        for name in ("languages.json", "tests/test.parquet", "train.parquet", "valid.parquet")
    ]
    assert read_json(tmp_path / "text/a/languages.json") == {
        "corpus": "toy-a",
        "source_language": "en",
        "target_language": "zh",
        "phrasebook": None,
    }
    assert read_table(tmp_path / "text/b/train.parquet").schema == pa.schema(
        [(name, pa.string()) for name in ("source", "target", "wrong", "group", "tag")]
        + [("translations", pa.list_(pa.string()))]
    )
    report = audit["a"]
    assert report["raw_pairs"] == 450
    assert report["kept_pairs"] == 450 - sum(rule.get("dropped", 0) for rule in report["rules"].values())
    assert report["kept_pairs"] == sum(report["sizes"].values())
    assert report["rules"]["held_out_of_b"]["dropped"] > 0
    assert report["rules"]["simplified_chinese"]["changed"] == 450
    assert {name: report["sizes"][name] for name in ("valid", "test")} == {"valid": 10, "test": 20}
    assert report["leakage"]["crossings"] == 0
    assert set(report["sha256"]) == {"train", "valid", "test"}
    assert sum(report["lengths"]["target"]["characters"]["counts"]) == report["kept_pairs"]
    compared = {(record["first"], record["second"]) for task in "ab" for record in audit[task]["leakage"]["comparisons"]}
    within = {
        (f"{t} {x} {s}", f"{t} {y} {s}")
        for t in "ab"
        for s in ("source", "target")
        for x, y in (("train", "valid"), ("train", "test"), ("valid", "test"))
    }
    across = {
        (f"a {x} {s}", f"b {y} {s}")
        for s in ("source", "target")
        for x in ("train", "valid", "test")
        for y in ("valid", "test")
    }
    assert compared == within | across


def test_the_same_corpora_give_the_same_bytes(tmp_path: Path) -> None:
    a, b = raw(tmp_path, "toy-a", made(300, "train", 1)), raw(tmp_path, "toy-b", made(200, "cat", 2))
    run(tmp_path, a, b)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(tmp_path, a, b)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first


def test_published_splits_and_their_further_tests_are_kept_apart(tmp_path: Path) -> None:
    rows = [
        (f"s {n}", f"t {n}", None, None, split)
        for split, ns in (("train", range(50)), ("valid", range(60, 70)), ("test", range(49, 55)), ("test-2017", range(70, 75)))
        for n in ns
    ]
    a, b = raw(tmp_path, "toy-a", made(300, "train", 1)), raw(tmp_path, "toy-b", rows, "de")
    audit = run(tmp_path, a, b)
    assert audit["b"]["sizes"] == {"train": 49, "valid": 10, "test": 6, "test-2017": 5}
    assert audit["b"]["rules"]["train_meets_held_out"] == {"dropped": 1}
    assert texts(tmp_path / "text/b/tests/test-2017.parquet") == [(f"s {n}", f"t {n}") for n in range(70, 75)]


def test_a_corpus_that_names_only_its_training_part_is_split_here(tmp_path: Path) -> None:
    rows = [(f"s {n}", f"t {n}", None, None, "train") for n in range(100)]
    a, b = raw(tmp_path, "toy-a", made(300, "train", 1)), raw(tmp_path, "toy-b", rows, "de")
    assert run(tmp_path, a, b)["b"]["sizes"] == {"train": 70, "valid": 10, "test": 20}


@pytest.mark.parametrize("broken", ["split", "without_held_out"])
def test_a_leak_fails_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    a, b = raw(tmp_path, "toy-a", made(300, "cat", 1)), raw(tmp_path, "toy-b", made(200, "cat", 2))

    def by_line(pairs: pa.Table, sizes: Splitting, corpus: str) -> dict[str, pa.Table]:
        return {"test": pairs[:20], "valid": pairs[20:30], "train": pairs[30:]}

    replacement = by_line if broken == "split" else lambda pairs, *_: (pairs, 0)
    monkeypatch.setattr(preparation, broken, replacement)
    with pytest.raises(LeakageError) as error:
        run(tmp_path, a, b)
    where = "a train source and in a valid source" if broken == "split" else "a train source and in b valid source"
    assert f" normalised sentences stand in {where}, for example 'thecatnumber" in str(error.value)
    assert str(error.value).endswith(
        "; nothing is written: this is a defect of src/translab/corpora (splitting.py, or phrasebook/ if it made the text)."
    )
    assert not any((tmp_path / "text").iterdir())
    assert not (tmp_path / "audit.json").exists()


SENTENCES = st.sampled_from(["Go!", "go", "Stop.", "stop", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "學", "学"])


@given(
    st.lists(st.tuples(SENTENCES, SENTENCES), min_size=5, max_size=40),
    st.lists(st.tuples(SENTENCES, SENTENCES), min_size=5, max_size=40),
    st.sampled_from(["zh", "fr"]),
)
@settings(max_examples=60, deadline=None)
def test_no_input_leaks(tmp_path_factory: pytest.TempPathFactory, a: Any, b: Any, language: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    paths = {"a": raw(folder, "toy-a", a, language), "b": raw(folder, "toy-b", b)}
    try:
        audit = prepare(paths, folder / "text", folder / "audit.json", CLEANING, Splitting(valid=1, test=2, seed=1))
    except ConfigError:
        assert not (folder / "text").exists()
        return
    assert [audit[task]["leakage"]["crossings"] for task in "ab"] == [0, 0]


def test_words_are_runs_of_letters_and_single_han_characters() -> None:
    assert words("Don't stop, well-known “Tom” 3!") == ["Don't", "stop", "well-known", "Tom", "3"]
    assert words("我3岁了，Tom。") == ["我", "3", "岁", "了", "Tom"]


def test_the_stages_run_on_a_users_own_files(tmp_path: Path) -> None:
    """From two TSV files and two entries to texts, through the command lines that dvc.yaml runs."""
    for name, rows in (("toy-a", made(300, "train", 1)), ("toy-b", made(200, "cat", 2))):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    provenance = {"source_language": "en", "target_language": "zh", "licence": "free", "attribution": "the tests"}
    part = {"format": "tsv", "source": 1, "target": 2}
    corpora = {
        name: {"kind": "files", **provenance, "parts": [part | {"file": f"{tmp_path}/{name}.tsv"}]}
        for name in ("toy-a", "toy-b")
    }
    params = {
        "data": {"a": "toy-a", "b": "toy-b"},
        "cleaning": CLEANING.model_dump(),
        "splitting": SPLITTING.model_dump(),
    }
    (tmp_path / "corpora.yaml").write_text(json.dumps(corpora), encoding="utf-8")
    (tmp_path / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text(encoding="utf-8"), encoding="utf-8")

    def stage(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "stages" / f"{name}.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )

    downloaded = stage("download", "toy-a")
    assert (downloaded.returncode, downloaded.stdout) == (0, "toy-a: 300 pairs, free → data/raw/toy-a\n"), downloaded.stderr
    fetch_corpus("toy-b", check_corpus("toy-b", corpora["toy-b"]), tmp_path / "data/raw/toy-b", tmp_path / ".cache")
    prepared = stage("prepare", "toy-a", "toy-b")
    assert prepared.returncode == 0, prepared.stderr
    assert prepared.stdout.startswith("task A: toy-a: ")
    assert "no sentence crosses the splits" in prepared.stdout


def test_tags_reach_the_texts(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("".join(f"s {n}\tt {n}\n" for n in range(100)), encoding="utf-8")
    entry = {
        "kind": "files",
        "source_language": "en",
        "target_language": "de",
        "licence": "free",
        "attribution": "the tests",
        "parts": [{"format": "tsv", "file": str(tmp_path / "a.tsv"), "source": 1, "target": 2, "tag": 2}],
    }
    folder = tmp_path / "raw" / "toy"
    fetch_corpus("toy", check_corpus("toy", entry), folder, tmp_path / "cache")
    run(tmp_path, raw(tmp_path, "toy-a", made(300, "train", 1)), folder)
    table = read_table(tmp_path / "text/b/tests/test.parquet")
    assert table.column("tag").to_pylist() == table.column("target").to_pylist()


# ---- generated text -----------------------------------------------------------------------------------------------------


def generated(prefix: str, train: int = 40) -> list[tuple[Any, ...]]:
    """Rows of a phrasebook: splits of their own, and a probe with two twins whose sources differ in their last word."""
    rows: list[tuple[Any, ...]] = []
    for split, count in (("train", train), ("valid", 6), ("test", 8), ("test-longer", 4)):
        rows += [
            (f"{prefix} {split} {n}", f"{prefix}{split}{n}。", None, "{}", split, None, [f"{prefix}{split}{n}。"])
            for n in range(count)
        ]
    for n in range(2):
        long, short = f"{prefix} probe {n} " + "long " * 30, f"{prefix} probe {n}"
        # A twin's sides may be equal, longer than `cleaning` allows, and far apart in length.
        rows.append((long, f"{prefix}甲{n}", f"twin {n}", "{}", "probe-end", f"{prefix}乙{n}", [f"{prefix}甲{n}"]))
        rows.append((short, f"{prefix}乙{n}", f"twin {n}", "{}", "probe-end", f"{prefix}甲{n}", [f"{prefix}乙{n}", "學"]))
    return rows


def test_a_phrasebook_keeps_its_splits_and_its_probes_whole(tmp_path: Path) -> None:
    a = raw(tmp_path, "toy-a", made(300, "train", 1))
    audit = run(tmp_path, a, raw(tmp_path, "toy-b", generated("b"), phrasebook="travel"))
    assert audit["b"]["sizes"] == {"train": 40, "valid": 6, "test": 8, "test-longer": 4, "probe-end": 4}
    assert audit["b"]["published_splits"]
    assert sum(audit["b"]["lengths"]["source"]["words"]["counts"]) == 58, "probes are not part of the text's lengths"
    items = read_table(tmp_path / "text/b/probes/end.parquet").to_pylist()
    assert [item["group"] for item in items] == ["twin 0", "twin 0", "twin 1", "twin 1"]
    for first, second in (items[:2], items[2:]):
        assert (first["wrong"], second["wrong"]) == (second["target"], first["target"])
    assert items[1]["translations"] == ["b乙0", "学"], "translations are rewritten like the target"
    assert read_table(tmp_path / "text/b/tests/test.parquet").column("translations").to_pylist() == [
        [f"btest{n}。"] for n in range(8)
    ]
    assert read_json(tmp_path / "text/b/languages.json")["phrasebook"] == "travel"


@pytest.mark.parametrize("split", ["valid", "test", "test-longer", "probe-end"])
@pytest.mark.parametrize("side", [0, 1])
def test_what_a_shares_with_any_held_out_set_of_b_is_dropped(tmp_path: Path, split: str, side: int) -> None:
    rows = generated("b")
    taken = [row for row in rows if row[4] == split][-1]
    shared = ["something else", "别的"]
    shared[side] = taken[side].upper()
    a = raw(tmp_path, "toy-a", [*made(300, "train", 1), tuple(shared)])
    audit = run(tmp_path, a, raw(tmp_path, "toy-b", rows, phrasebook="travel"))
    assert audit["a"]["rules"]["held_out_of_b"] == {"dropped": 1}


@pytest.mark.parametrize(
    ("split", "other"), [("train", "probe-end"), ("valid", "test-longer"), ("test", "test-longer"), ("test", "probe-end")]
)
def test_generated_text_whose_splits_share_a_sentence_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, other: str
) -> None:
    rows = generated("b")
    taken = next(row for row in rows if row[4] == other)
    rows.append(("a new source", f"{taken[1]}！", None, "{}", split, None, None))
    # Where dropping would hide what the generator did, only the audit is left.
    monkeypatch.setattr("translab.corpora.splitting._without", lambda pairs, others: (pairs, 0))
    a = raw(tmp_path, "toy-a", made(300, "train", 1))
    with pytest.raises(LeakageError) as error:
        run(tmp_path, a, raw(tmp_path, "toy-b", rows, phrasebook="travel"))
    example = normalised(taken[1])
    assert str(error.value) == (
        f"1 normalised sentences stand in b {split} target and in b {other} target, for example {example!r}; "
        "nothing is written: this is a defect of src/translab/corpora (splitting.py, or phrasebook/ if it made the text)."
    )
    assert not any((tmp_path / "text").iterdir())
