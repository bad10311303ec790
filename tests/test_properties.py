"""Properties that hold for any input, beside those in the tests of each module."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tokenizers import Tokenizer

import pairs as tables
import toy
from translab.config import (
    Cleaning,
    ConfigError,
    Model,
    Optimisation,
    ParquetPart,
    RunValues,
    Splitting,
    Text,
    check,
    check_corpus,
)
from translab.corpora.archives import ArchiveError, opened
from translab.corpora.cleaning import clean, rewritten, simplified
from translab.corpora.readers import CorpusError, Row, read_part
from translab.corpora.splitting import components, keyed, normalised, normalised_column, published, without_held_out
from translab.entries import with_delta
from translab.params import declared
from translab.text import bpe
from translab.text.batching import Examples, bucketed, unbucketed

# ---- cleaning -----------------------------------------------------------------------------------------------------------

SPLITS = st.sampled_from([None, "train", "valid", "test", "probe-end"])
SIDES = st.text(max_size=9) | st.text("ab\u200b ", max_size=4)
ANY_ROWS = st.lists(st.builds(Row, SIDES, SIDES, st.none(), st.none(), SPLITS), max_size=12)


@given(ANY_ROWS.map(lambda rows: [*rows, *rows[:4]]), st.integers(1, 3), st.integers(3, 9), st.floats(1, 5))
@settings(max_examples=60, deadline=None)
def test_cleaning_keeps_an_order_within_its_bounds_and_counts_all_that_it_drops(
    raw: list[Row], low: int, high: int, ratio: float
) -> None:
    bounds = Cleaning(minimum_length=low, maximum_length=high, maximum_ratio=ratio, simplified_chinese=True)
    kept, counts = clean(tables.table(raw).to_reader(), ("en", "zh"), bounds)
    assert len(raw) - len(kept) == sum(count.get("dropped", 0) for count in counts.values())
    sides = [rewritten([row[side] for row in raw], language, True) for side, language in enumerate(("en", "zh"))]
    cleaned = iter(zip(*sides, (row.split for row in raw), strict=True))
    for row in tables.rows(kept):
        assert (row.source, row.target, row.split) in cleaned, "a pair that stood nowhere, or not in this order"
        assert row.source
        assert row.target
        assert row.split not in (None, "train") or all(low <= len(text) <= high for text in row[:2])
    learned = [row[:2] for row in tables.rows(kept) if row.split in (None, "train")]
    assert len(learned) == len(set(learned))


def test_the_size_of_batches_changes_nothing() -> None:
    generator = random.Random(1)
    raw = tables.table(
        Row("".join(generator.choices("ab\u200b \u00e9é", k=4)), "".join(generator.choices("學a.", k=3)), None, None, None)
        for _ in range(300)
    )
    bounds = Cleaning(minimum_length=1, maximum_length=9, maximum_ratio=3.0, simplified_chinese=True)
    whole, parts = (clean(raw.to_reader(size), ("en", "zh"), bounds) for size in (300, 7))
    assert whole[1] == parts[1]
    assert whole[0].equals(parts[0])
    assert components(keyed(whole[0])).tolist() == components(keyed(parts[0])).tolist()


def test_simplification_is_that_of_opencc_for_every_character_and_phrase_that_it_knows() -> None:
    import opencc

    folder = Path(opencc.__file__).parent / "dictionary"
    known = [
        line.split("\t")[0]
        for name in ("TSCharacters.txt", "TSPhrases.txt")
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    random.Random(1).shuffle(known)
    # Beside each other, so that phrases also arise, and overlap, across what stood apart.
    lines = ["".join(known[start : start + 12]) for start in range(0, len(known), 12)]
    convert = opencc.OpenCC("t2s").convert
    assert [simplified(line) for line in lines] == [convert(line) for line in lines]


# ---- reading ------------------------------------------------------------------------------------------------------------


def packed() -> dict[str, bytes]:
    """A valid file of each kind, by its name."""
    text = "Good morning.\t早上好。\nNA\t“不”\n".encode() * 3
    buffers = {name: io.BytesIO() for name in ("a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.parquet")}
    with zipfile.ZipFile(buffers["a.zip"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tsv", text)
    for suffix in ("", "gz", "xz"):
        with tarfile.open(fileobj=buffers[f"a.tar.{suffix}".rstrip(".")], mode=f"w:{suffix}") as archive:  # type: ignore[call-overload]
            member = tarfile.TarInfo("a.tsv")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    pq.write_table(pa.table({"1": ["a", "b"], "2": ["c", None]}), buffers["a.parquet"])
    plain = {"a.tsv": text, "a.tsv.gz": gzip.compress(text), "a.tsv.xz": lzma.compress(text)}
    return plain | {name: buffer.getvalue() for name, buffer in buffers.items()}


FILES = packed()


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused_in_a_sentence(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content)) | st.just(len(content))) :]
    (tmp_path / name).write_bytes(content)
    archived = {"archive": name, "file": "a.tsv"} if "zip" in name or "tar" in name else {"file": name}
    part = {"format": "parquet" if name.endswith("parquet") else "tsv", "source": 1, "target": 2, **archived}
    about = {"source_language": "en", "target_language": "zh", "licence": "free", "attribution": "the tests"}
    entry: Any = check_corpus("toy", {"kind": "files", **about, "parts": [part]})
    try:
        rows = list(read_part(entry.parts[0], lambda file: tmp_path / file))
    except (ArchiveError, CorpusError) as error:
        one_sentence(error)
    else:
        tables.table(rows)


def test_a_member_that_lies_before_its_archive_is_damage(tmp_path: Path) -> None:
    content = bytearray(FILES["a.zip"])
    directory = content.index(b"PK\x01\x02")
    content[directory + 42 : directory + 46] = (2**32 - 2).to_bytes(4, "little")  # where the member begins
    (tmp_path / "a.zip").write_bytes(content)
    with (
        pytest.raises(ArchiveError, match=r"^\S+a\.zip is damaged \(.+\); fetch or copy it again\.$"),
        opened(tmp_path / "a.zip", "a.tsv"),
    ):
        pass


def test_a_member_without_a_name_is_no_member(tmp_path: Path) -> None:
    content = bytearray(FILES["a.zip"])
    directory = content.index(b"PK\x01\x02")
    content[directory + 28 : directory + 30] = bytes(2)  # length of its name
    content[directory + 32 : directory + 34] = (5).to_bytes(2, "little")  # length of a comment, which the name becomes
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError) as error, opened(tmp_path / "a.zip", "a.tsv"):
        pass
    assert str(error.value) == f"{tmp_path / 'a.zip'} has no member 'a.tsv'; it holds nothing."


def test_a_parquet_file_whose_columns_have_no_readable_names_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"sentence": ["a"]}), buffer)
    (tmp_path / "a.parquet").write_bytes(buffer.getvalue().replace(b"sentence", b"sen\x93ence"))
    part = ParquetPart(format="parquet", file="a.parquet", source="sentence", target="sentence")
    with pytest.raises(CorpusError, match=r"^a\.parquet is not a Parquet file \(.*0x93.*\); fetch or copy it again\.$"):
        list(read_part(part, lambda file: tmp_path / file))


# ---- splitting ----------------------------------------------------------------------------------------------------------

SENTENCES = st.sampled_from(["go", "Go!", "ｇｏ", "stop", "Stop.", "?!", "…", *"abcdefghijk"])
NAMED = st.sampled_from(["train", "valid", "test", "test-2017", "probe-end"])
PUBLISHED = st.lists(st.builds(Row, SENTENCES, SENTENCES, st.none(), st.none(), NAMED), min_size=9, max_size=30)


@given(PUBLISHED)
@settings(max_examples=60, deadline=None)
def test_published_splits_lose_what_leaks_and_nothing_else(raw: list[Row]) -> None:
    splits, dropped = published(keyed(tables.table(raw)))
    found = {name: tables.rows(members) for name, members in splits.items()}
    for name, members in found.items():
        whole = Counter(row[:2] for row in raw if row.split == name)
        lost = whole - Counter(row[:2] for row in members)
        assert sum(lost.values()) == dropped.get(name, 0), "tests and probes lose nothing"
        held_out = [row for other, rows in found.items() if other not in ("train", name) for row in rows]
        if name in ("train", "valid"):
            for side in range(2):
                sentences = {normalised(row[side]) for row in held_out}
                assert not sentences & {normalised(row[side]) for row in members}
            assert all(
                any(normalised(pair[side]) == normalised(row[side]) for row in held_out for side in range(2)) for pair in lost
            )


@given(PUBLISHED, PUBLISHED, st.sampled_from([("en", "zh"), ("en", "fr"), ("zh", "en"), ("de", "fr")]))
@settings(max_examples=60, deadline=None)
def test_a_shares_no_sentence_with_what_b_is_tested_on(a: list[Row], b: list[Row], languages: tuple[str, str]) -> None:
    splits = {name: keyed(tables.table(row for row in b if row.split == name)) for name in {row.split for row in b}}
    kept, dropped = without_held_out(keyed(tables.table(a)), languages, splits, ("en", "zh"))
    refused = {
        (language, normalised(row[side])) for row in b if row.split != "train" for side, language in enumerate(("en", "zh"))
    }
    rows = tables.rows(kept)
    assert dropped == len(a) - len(rows)
    assert not refused & {(language, normalised(row[side])) for row in rows for side, language in enumerate(languages)}


@given(st.lists(st.builds(Row, SENTENCES, SENTENCES, st.sampled_from([None, "1", "2"]), st.none(), st.none()), max_size=25))
@settings(max_examples=100, deadline=None)
def test_components_are_those_of_a_walk_from_neighbour_to_neighbour(raw: list[Row]) -> None:
    def neighbours(one: Row, other: Row) -> bool:
        sides = any(normalised(one[side]) == normalised(other[side]) for side in range(2))
        return sides or (one.group is not None and one.group == other.group)

    numbers: list[int | None] = [None] * len(raw)
    count = 0
    for start in range(len(raw)):
        if numbers[start] is None:
            reached = [start]
            for row in reached:
                numbers[row] = count
                reached += [other for other in range(len(raw)) if other not in reached and neighbours(raw[row], raw[other])]
            count += 1
    assert components(keyed(tables.table(raw))).tolist() == numbers


@given(st.text(max_size=12))
@settings(max_examples=200, deadline=None)
@example("ABC, x.")
@example("?!")
def test_a_sentence_is_compared_by_something_and_alike_in_a_column(text: str) -> None:
    key = normalised(text)
    assert bool(key) == bool(text)
    assert normalised_column(pa.chunked_array([[text, text]])).to_pylist() == [key, key]


# ---- vocabularies and batches -------------------------------------------------------------------------------------------

TEXTS = st.lists(st.text(st.sampled_from("天地人 好不a▁b,.1"), min_size=1, max_size=14), min_size=1, max_size=40)

EVEN = random.Random(2).choices("天地人好不大", k=1000)
"""Every two characters stand together about as often; each merge makes others rarer, so that the first guess is too high."""


def trained(texts: list[str], types: int, neighbours: Any = bpe._neighbours) -> Tokenizer | str:
    with patch.object(bpe, "_neighbours", neighbours):
        try:
            return bpe.train(texts, types, "size")
        except ConfigError as error:
            return str(error)


def nothing_is_seldom(texts: list[str]) -> Any:
    found, times = NEIGHBOURS(texts)
    return found[:0], times[:0]


NEIGHBOURS = bpe._neighbours


@given(TEXTS, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
@example(["天地人好不" * 2, "地人天不好", "好不天地"] * 3, 6)
@example(["".join(EVEN[start : start + 10]) for start in range(0, 1000, 10)], 9)
def test_cutting_words_changes_no_vocabulary(texts: list[str], merges: int) -> None:
    characters = {character for text in texts for character in text if not character.isspace()} | {bpe.SPACE}
    types = len(bpe.SPECIALS) + len(characters) + merges
    cut, plain = trained(texts, types), trained(texts, types, nothing_is_seldom)
    assert (cut if isinstance(cut, str) else cut.to_str()) == (plain if isinstance(plain, str) else plain.to_str())


@given(TEXTS)
@settings(max_examples=50, deadline=None)
def test_a_report_counts_as_if_each_text_were_encoded_alone(texts: list[str]) -> None:
    texts = [text for text in rewritten(texts, "en", False) if text]
    tokenizer = bpe.train([*texts, "天地 好不"], len(bpe.SPECIALS) + len(set("".join([*texts, "天地好不▁"])) - {" "}), "size")
    total = sum(len(bpe.encode(tokenizer, [text])[0]) for text in texts)
    if texts:
        assert bpe.describe(tokenizer, texts, [])["characters_per_type"] == round(
            sum(len(text.replace(" ", "")) for text in texts) / total, 4
        )


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(2, 30)), min_size=1, max_size=60), st.integers(1, 90), st.integers(0, 5)
)
@settings(max_examples=60, deadline=None)
def test_batches_are_the_same_for_a_seed_whatever_was_drawn_before(
    lengths: list[tuple[int, int]], tokens: int, seed: int
) -> None:
    examples = Examples([[9] * source for source, _ in lengths], [[9] * target for _, target in lengths])
    for divide in (bucketed, unbucketed):
        first, again = (divide(examples, tokens, np.random.default_rng(seed)) for _ in range(2))
        assert first == again


# ---- values -------------------------------------------------------------------------------------------------------------

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["all", "run", "base"])
KEYS = st.text(max_size=4) | st.sampled_from(
    ["model", "heads", "width", "data", "kind", "parts", "format", "file", "source", "target"]
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8)


def one_sentence(error: Exception) -> None:
    assert str(error).strip()
    assert str(error).endswith((".", "?"))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_values_are_taken_or_answered_in_a_sentence(data: st.DataObject) -> None:
    group = data.draw(st.sampled_from([Model, Optimisation, Cleaning, Splitting, Text, RunValues]))
    fields = st.sampled_from(sorted(group.model_fields))
    right = toy.VALUES if group is RunValues else {**toy.VALUES["model"], **toy.VALUES["optimisation"]}
    given_values = {key: value for key, value in right.items() if key in group.model_fields}
    changed = data.draw(st.dictionaries(fields | st.text(max_size=4), TREES, max_size=4))
    values = data.draw(st.sampled_from([{**given_values, **changed}, changed]) | TREES)
    try:
        check(group, values, "params.yaml: here")
    except ConfigError as error:
        one_sentence(error)


@given(st.dictionaries(KEYS, TREES, max_size=5), st.sampled_from([None, "hub", "url", "files", "phrasebook"]))
@example({"parts": True}, "files")
@settings(max_examples=150, deadline=None)
def test_any_entry_of_a_corpus_is_taken_or_answered_in_a_sentence(entry: dict[str, Any], kind: str | None) -> None:
    try:
        check_corpus("toy", entry if kind is None else {**entry, "kind": kind})
    except ConfigError as error:
        one_sentence(error)


@given(TREES)
@settings(max_examples=150, deadline=None)
@example({"model": {}})
@example({"model": {"heads": {}}})
def test_any_delta_is_applied_or_answered_in_a_sentence(delta: Any) -> None:
    values = {"model": {"heads": 4, "width": 64}, "data": {"training_pairs": "all"}}
    try:
        changed, axis = with_delta(values, delta, "other")
    except ConfigError as error:
        one_sentence(error)
    else:
        assert (changed == values) == (axis is None)


@given(TREES, TREES)
@settings(max_examples=60, deadline=None)
def test_any_file_of_values_is_read_or_answered_in_a_sentence(params: Any, section: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dvc.yaml").write_text("stages: {ablate: {params: [model.heads, 'variants.${item.variant}']}}\n")
        with (folder / "params.yaml").open("w", encoding="utf-8") as file:
            try:
                YAML().dump(params if section is None else {"model": params, "variants": section}, file)
            except (YAMLError, ValueError):
                return  # not every text can be written
        try:
            declared("ablate", root=folder, variant="base")
        except ConfigError as error:
            one_sentence(error)
