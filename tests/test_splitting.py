"""No sentence crosses a split, whatever the corpus; sizes are what was asked for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs as tables
from translab.config import ConfigError, Splitting
from translab.corpora import splitting
from translab.corpora.readers import Row
from translab.corpora.splitting import keyed, normalised

Splits = dict[str, list[Row]]

LANGUAGES = ("en", "zh")
# A small alphabet makes sentences that share sides, in spite of case, punctuation and width.
SENTENCES = st.sampled_from(["go", "Go!", "ｇｏ", "stop", "Stop.", "?!", "…", *"abcdefghijklmnopqrstuvw"])
GROUPS = st.none() | st.sampled_from(["d1", "d2", "d3"])
PAIRS = st.lists(st.builds(Row, SENTENCES, SENTENCES, GROUPS, st.none(), st.none()), min_size=8, max_size=30)


def sizes(valid: int, test: int, seed: int = 1) -> Splitting:
    return Splitting(valid=valid, test=test, seed=seed)


def components(pairs: list[Row]) -> list[int]:
    return splitting.components(keyed(tables.table(pairs))).tolist()


def split(pairs: list[Row], sizes: Splitting, corpus: str) -> Splits:
    return in_rows(splitting.split(keyed(tables.table(pairs)), sizes, corpus))


def published(pairs: list[Row]) -> tuple[Splits, dict[str, int]]:
    splits, dropped = splitting.published(keyed(tables.table(pairs)))
    return in_rows(splits), dropped


def without_held_out(
    pairs: list[Row], languages: tuple[str, str], other: Splits, other_languages: tuple[str, str]
) -> tuple[list[Row], int]:
    others = {name: keyed(tables.table(members)) for name, members in other.items()}
    kept, dropped = splitting.without_held_out(keyed(tables.table(pairs)), languages, others, other_languages)
    return tables.rows(kept), dropped


def in_rows(splits: splitting.Splits) -> Splits:
    return {name: tables.rows(members) for name, members in splits.items()}


def pair(source: str, target: str, split: str | None = None) -> Row:
    return Row(source, target, None, None, split)


def distinct(count: int) -> list[Row]:
    return [pair(f"s {number}", f"t {number}") for number in range(count)]


def shared(first: list[Row], second: list[Row]) -> set[str]:
    return {normalised(kept.source) for kept in first} & {normalised(kept.source) for kept in second} | {
        normalised(kept.target) for kept in first
    } & {normalised(kept.target) for kept in second}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Don’t STOP!", "dont  stop"), ("“真的吗？”", "真的吗"), ("Ｔｏｍ", "tom"), ("STRASSE", "Straße"), ("a\u00a0b", "ab")],
)
def test_case_width_punctuation_and_white_space_do_not_distinguish(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("ami", "amie"), ("été", "ete"), ("3", "4"), ("?!", "!?"), ("C++", "C")])
def test_letters_digits_accents_and_symbols_distinguish(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_components_follow_chains_through_both_sides_and_groups() -> None:
    chain = [pair("a", "1"), pair("A.", "2"), pair("b", "2!"), pair("c", "3")]
    assert components(chain) == [0, 0, 0, 1]
    # A source that equals another pair's target is no link: the sides are different languages.
    assert components([pair("a", "b"), pair("b", "a")]) == [0, 1]
    assert components([Row("a", "1", "d", None, None), Row("b", "2", "d", None, None), pair("c", "3")]) == [0, 0, 1]


@given(PAIRS, st.integers(1, 5), st.integers(1, 5), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_and_nothing_leaks(pairs: list[Row], valid: int, test: int, seed: int) -> None:
    try:
        splits = split(pairs, sizes(valid, test, seed), "toy")
    except ConfigError:
        return  # too few components to deal out
    assert Counter(kept[:2] for members in splits.values() for kept in members) == Counter(kept[:2] for kept in pairs)
    assert len(splits["valid"]) <= valid
    assert len(splits["test"]) <= test
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not shared(splits[first], splits[second])
        assert not {kept.group for kept in splits[first]} & {kept.group for kept in splits[second]}


def test_sizes_are_exact_where_small_components_exist() -> None:
    clustered = [pair(f"c {number // 7}", f"u {number}") for number in range(700)]
    splits = split([*clustered, *distinct(300)], sizes(50, 100), "toy")
    assert {name: len(members) for name, members in splits.items()} == {"train": 850, "valid": 50, "test": 100}


def test_held_out_sets_hold_large_components_in_proportion() -> None:
    clustered = [pair(f"c {number // 5}", f"u {number}") for number in range(5000)]
    splits = split([*clustered, *distinct(5000)], sizes(1000, 1000), "toy")
    for name in ("valid", "test"):
        assert 0.4 < sum(kept.source.startswith("c") for kept in splits[name]) / 1000 < 0.6


def test_a_component_larger_than_the_held_out_sets_is_for_training() -> None:
    splits = split([*(pair("same", f"u {number}") for number in range(50)), *distinct(20)], sizes(5, 5), "toy")
    assert {kept.source for kept in splits["train"]} >= {"same"}
    assert {name: len(members) for name, members in splits.items()} == {"train": 60, "valid": 5, "test": 5}


def test_the_seed_decides_and_one_more_pair_does_not_reshuffle() -> None:
    pairs = distinct(500)
    first = split(pairs, sizes(50, 100, 1), "toy")
    assert split(pairs, sizes(50, 100, 1), "toy") == first
    assert split(pairs, sizes(50, 100, 2), "toy")["test"] != first["test"]
    more = split([pair("another", "one"), *pairs], sizes(50, 100, 1), "toy")
    assert len({kept[:2] for kept in more["test"]} & {kept[:2] for kept in first["test"]}) >= 99


def test_a_pair_keeps_its_group_or_gets_its_component() -> None:
    splits = split([Row("a", "b", "talk 7", None, None), *distinct(4)], sizes(1, 1), "toy")
    groups = {kept.source: kept.group for members in splits.values() for kept in members}
    assert groups == {"a": "talk 7", "s 0": "1", "s 1": "2", "s 2": "3", "s 3": "4"}


def test_published_splits_are_kept_and_what_leaks_is_dropped_from_the_split_that_learns() -> None:
    pairs = [
        pair("a", "1", "train"),
        pair("B!", "2", "train"),
        pair("c", "3", "train"),
        pair("d", "4", "train"),
        pair("b", "20", "valid"),
        pair("e", "30", "valid"),
        pair("x", "３.", "test"),
        pair("y", "30", "test-2017"),
        pair("x", "9", "test-2017"),
    ]
    splits, dropped = published(pairs)
    assert {name: [kept.source for kept in members] for name, members in splits.items()} == {
        "train": ["a", "d"],
        "valid": ["b"],
        "test": ["x"],
        "test-2017": ["y", "x"],
    }
    assert dropped == {"valid": 1, "train": 2}
    assert len({kept.group for members in splits.values() for kept in members}) == 5


def held_out(*pairs: Row) -> Splits:
    return {"train": [pair("learn", "学")], "valid": list(pairs[:1]), "test": list(pairs[1:])}


def test_a_loses_every_pair_that_shares_a_sentence_with_what_b_is_tested_on() -> None:
    other = held_out(pair("Look out!", "小心"), pair("Good night.", "晚安"))
    a = [pair("look out", "当心"), pair("Sleep well.", "晚安！"), pair("learn", "学"), pair("fine", "好")]
    assert without_held_out(a, LANGUAGES, other, LANGUAGES) == (a[2:], 2)


def test_sides_are_compared_by_language_whichever_side_they_are() -> None:
    other = held_out(pair("Look out!", "chat"), pair("Good night.", "晚安"))
    french = [pair("look out", "attention"), pair("cat", "chat"), pair("night", "nuit")]
    assert without_held_out(french, ("en", "fr"), other, LANGUAGES) == (french[1:], 1)
    german = [pair("Achtung", "Look out."), pair("look out", "ausschauen"), pair("gut", "fine")]
    assert without_held_out(german, ("de", "en"), other, LANGUAGES) == (german[1:], 1)


def test_a_probe_of_a_loses_both_items_of_a_twin() -> None:
    other = held_out(pair("Look out!", "小心"), pair("Good night.", "晚安"))
    items = [
        Row(source, target, group, None, "probe-end")
        for source, target, group in (("look out", "看", "1"), ("look", "看看", "1"), ("run", "跑", "2"), ("go", "去", "2"))
    ]
    assert without_held_out(items, LANGUAGES, other, LANGUAGES) == (items[2:], 2)


def test_pairs_that_share_a_side_with_a_probe_are_dropped_from_what_is_learned() -> None:
    pairs = [
        pair("a", "1", "train"),
        pair("b", "2", "valid"),
        pair("c", "3", "train"),
        pair("d", "4", "valid"),
        pair("e", "5", "test"),
        pair("A.", "10", "probe-word-order"),
        pair("f", "2!", "probe-end"),
    ]
    splits, dropped = published(pairs)
    assert {name: [kept.source for kept in members] for name, members in splits.items()} == {
        "train": ["c"],
        "valid": ["d"],
        "probe-end": ["f"],
        "probe-word-order": ["A."],
        "test": ["e"],
    }
    assert dropped == {"valid": 1, "train": 1}
