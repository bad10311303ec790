"""Cleaning changes what it says, drops what it says, and counts both."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs as tables
from translab.config import Cleaning
from translab.corpora import cleaning
from translab.corpora.cleaning import Counts, simplified
from translab.corpora.readers import Row

ENGLISH_CHINESE = ("en", "zh")


def values(**changes: object) -> Cleaning:
    return Cleaning.model_validate(
        {"minimum_length": 1, "maximum_length": 300, "maximum_ratio": 4.0, "simplified_chinese": True} | changes
    )


def pair(source: str, target: str, split: str | None = None) -> Row:
    return Row(source, target, None, None, split)


def clean(pairs: list[Row], languages: tuple[str, str], bounds: Cleaning) -> tuple[list[Row], Counts]:
    kept, counts = cleaning.clean(tables.table(pairs).to_reader(), languages, bounds)
    return tables.rows(kept), counts


def sides(pairs: list[Row]) -> list[tuple[str, str]]:
    return [(kept.source, kept.target) for kept in pairs]


@pytest.mark.parametrize(
    ("rule", "raw", "cleaned"),
    [
        (
            "invisible",
            "zero\u200bwidth \ufeffmark \u202edirection soft\u00adhyphen bell\x07",
            "zerowidth mark direction softhyphen bell",
        ),
        ("invisible", "tab\tand\u2028line", "tab and line"),
        ("unicode", "cafe\u0301", "café"),
        ("white_space", "  no\u00a0break\u202fnarrow \u3000 wide ", "no break narrow wide"),
    ],
)
def test_a_rewriting_rule_changes_the_sentence_and_counts_the_pair_once(rule: str, raw: str, cleaned: str) -> None:
    kept, counts = clean([pair(raw, raw), pair("plain", "plain")], ("en", "fr"), values())
    assert sides(kept) == [(cleaned, cleaned), ("plain", "plain")]
    assert {name: count["changed"] for name, count in counts.items() if count.get("changed")} == {rule: 1}


def test_chinese_punctuation_stays_chinese() -> None:
    kept, _ = clean([pair("Really?", "真的吗？！（是）")], ENGLISH_CHINESE, values())
    assert sides(kept) == [("Really?", "真的吗？！（是）")]


def test_an_invisible_character_between_a_letter_and_its_accent_does_not_hide_the_composition() -> None:
    kept, _ = clean([pair("cafe\u200b\u0301", "x")], ("fr", "en"), values())
    assert sides(kept) == [("café", "x")]


@pytest.mark.parametrize(
    ("languages", "switch", "expected"),
    [
        (("en", "zh"), True, ("他學過", "他学过")),
        (("zh", "en"), True, ("他学过", "他學過")),
        (("en", "fr"), True, ("他學過", "他學過")),
        (("zh", "zh"), False, ("他學過", "他學過")),
    ],
)
def test_only_chinese_sides_are_simplified_and_only_if_asked(
    languages: tuple[str, str], switch: bool, expected: tuple[str, str]
) -> None:
    kept, counts = clean([pair("他學過", "他學過")], languages, values(simplified_chinese=switch))
    assert sides(kept) == [expected]
    assert counts.get("simplified_chinese") == ({"changed": int("他学过" in expected)} if switch else None)


@given(
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=8)
    | st.sampled_from(["沈船", "乾坤", "一目瞭然", "頭髮", "發現"])
)
@settings(max_examples=100, deadline=None)
def test_the_fast_path_never_differs_from_opencc(text: str) -> None:
    import opencc

    assert simplified(text) == opencc.OpenCC("t2s").convert(text)


@pytest.mark.parametrize(
    ("rule", "changes", "refused"),
    [
        ("empty", {}, [("", "b"), ("a", " \u200b ")]),
        ("length", {"minimum_length": 2, "maximum_length": 6}, [("a", "bb"), ("aa", "bbbbbbb")]),
        ("ratio", {"maximum_ratio": 2.0}, [("aaaaaa", "bb"), ("aa", "bbbbb")]),
        ("duplicates", {}, [("good", "goed"), ("go od", "goed")]),
    ],
)
def test_a_dropping_rule_drops_its_pairs_and_counts_them(
    rule: str, changes: dict[str, object], refused: list[tuple[str, str]]
) -> None:
    good = [pair("good", "goed"), pair("go od", "goed"), pair("fine", "fijn"), pair("nice", "mooi")]
    kept, counts = clean([*good, *(pair(*sides) for sides in refused)], ("en", "fr"), values(**changes))
    assert kept == good
    assert {name: count["dropped"] for name, count in counts.items() if count.get("dropped")} == {rule: 2}


def test_the_ratio_is_measured_from_the_corpus_median() -> None:
    # Chinese is about a third as long as English; what is usual for the corpus is 1.
    usual = [pair(f"{number} is a number, I say", f"{number}是个数字") for number in range(10, 19)]
    kept, counts = clean(
        [*usual, pair("twelve letters here", "十二个字母在这里呢你看看吧")], ENGLISH_CHINESE, values(maximum_ratio=2.0)
    )
    assert (kept, counts["ratio"]) == (usual, {"dropped": 1})


def test_rewriting_comes_before_comparing() -> None:
    raw = [pair("Hello.", "他學過。"), pair("Hello.\u200b", " 他学过。")]
    kept, counts = clean(raw, ENGLISH_CHINESE, values())
    assert sides(kept) == [("Hello.", "他学过。")]
    assert counts["duplicates"] == {"dropped": 1}


def test_published_held_out_sets_lose_only_empty_pairs() -> None:
    held_out = [
        pair("a", "b", "test"),
        pair("a", "b", "test"),
        pair("a" * 9, "b" * 80, "valid"),
        pair("x" * 400, "y" * 400, "test"),
    ]
    train = [pair("a", "b", "train"), pair("x" * 400, "y" * 400, "train")]
    kept, counts = clean([*held_out, pair("", "b", "test"), *train], ("en", "fr"), values())
    assert kept == [*held_out, train[0]]
    assert {name: count["dropped"] for name, count in counts.items() if count.get("dropped")} == {"empty": 1, "length": 1}


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_what_is_kept_is_clean_and_cleaning_again_changes_nothing(raw: list[tuple[str, str]]) -> None:
    kept, counts = clean([pair(*texts) for texts in raw], ENGLISH_CHINESE, values())
    assert len(raw) - len(kept) == sum(count.get("dropped", 0) for count in counts.values())
    for text in (text for texts in sides(kept) for text in texts):
        assert text
        assert text == text.strip()
        assert text == unicodedata.normalize("NFC", text)
        assert not any(unicodedata.category(character) in ("Cc", "Cf") for character in text)
    again, recount = clean(kept, ENGLISH_CHINESE, values(maximum_ratio=1e9))
    assert again == kept
    assert all(count in ({"changed": 0}, {"dropped": 0}) for count in recount.values())
