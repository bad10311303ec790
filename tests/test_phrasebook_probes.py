"""The probes of the phrasebook: twins that are balanced, and what their tags point at."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from small_phrasebook import PROBE, write
from translab.corpora.phrasebook import Entry, Phrasebook, PhrasebookError, load
from translab.corpora.phrasebook.probes import Taken
from translab.corpora.phrasebook.splits import probe_entries

ITEMS = 100


def twins(entries: list[Entry]) -> list[tuple[Entry, Entry]]:
    return list(zip(entries[::2], entries[1::2], strict=True))


@pytest.fixture(scope="module")
def probes() -> dict[str, list[Entry]]:
    phrasebook, taken = load("travel"), Taken()
    return {name: list(probe_entries(phrasebook, name, ITEMS, 1, taken)) for name in phrasebook.probes}


def test_items_come_in_twins_that_differ(probes: dict[str, list[Entry]]) -> None:
    for name, entries in probes.items():
        assert len(entries) == ITEMS
        assert {entry.split for entry in entries} == {f"probe-{name}"}
        assert set(Counter(entry.group for entry in entries).values()) == {2}
        for first, second in twins(entries):
            assert first.group == second.group
            assert first.source != second.source


def test_the_right_choice_is_a_translation_and_the_wrong_one_is_none(probes: dict[str, list[Entry]]) -> None:
    for entry in (entry for entries in probes.values() for entry in entries):
        assert entry.translations is not None
        assert entry.target in entry.translations
        assert entry.wrong not in entry.translations


def test_what_tells_right_from_wrong_for_an_item_tells_wrong_from_right_for_its_twin(probes: dict[str, list[Entry]]) -> None:
    """So that a model which prefers some characters, whatever the source, is right about half of the items."""
    checked = 0
    for first, second in (twin for entries in probes.values() for twin in twins(entries)):
        if first.wrong is not None and second.wrong is not None:
            right, wrong = Counter(first.target), Counter(first.wrong)
            other_right, other_wrong = Counter(second.target), Counter(second.wrong)
            assert (right - wrong, wrong - right) == (other_wrong - other_right, other_right - other_wrong), (first, second)
            checked += 1
    assert checked >= 9 * ITEMS // 2


def test_word_order_asks_for_the_choice_between_the_translations_of_its_twins(probes: dict[str, list[Entry]]) -> None:
    for first, second in twins(probes["word-order"]):
        assert (first.wrong, second.wrong) == (second.target, first.target), (first, second)


def test_only_the_order_of_the_words_tells_the_twins_of_word_order_apart(probes: dict[str, list[Entry]]) -> None:
    for first, second in twins(probes["word-order"]):
        words = [sorted(item.source.rstrip(".").split()) for item in (first, second)]
        assert words[0] == words[1], (first.source, second.source)


def test_a_polysemous_word_looks_the_same_in_both_twins(probes: dict[str, list[Entry]]) -> None:
    for first, second in twins(probes["polysemy"]):
        words = [item.source.lower().split()[json.loads(item.tag)["words"]["word"]].strip(".,?!") for item in (first, second)]
        assert words[0] == words[1], (first.source, second.source)


def test_the_places_of_a_pronoun_and_its_antecedent_are_theirs(probes: dict[str, list[Entry]]) -> None:
    for entry in probes["referent"]:
        words = entry.source.lower().split()
        places = json.loads(entry.tag)["words"]
        assert entry.wrong is None
        assert places.keys() == {"pronoun", "antecedent", "rival"}
        assert words[places["pronoun"]].strip(".,") in ("it", "they"), entry
        assert len(set(places.values())) == 3, entry


def test_the_twins_of_end_are_a_short_and_a_long_source_with_one_prefix(probes: dict[str, list[Entry]]) -> None:
    for first, second in twins(probes["end"]):
        short, long = sorted((first.source.rstrip(".?!"), second.source.rstrip(".?!")), key=len)
        assert long.startswith((f"{short} ", f"{short},")), (short, long)


# --- A small grammar


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translab.corpora.phrasebook.probes.PATIENCE", 500)


def small_items(folder: Path, items: int, *changes: tuple[str, str]) -> list[Entry]:
    old, rules = PROBE["rules"]
    for before, after in changes:
        assert before in rules
        rules = rules.replace(before, after)
    phrasebook = Phrasebook("small", write(folder, **{**PROBE, "rules": (old, rules)}))
    return list(probe_entries(phrasebook, "choice", items, 1, Taken()))


def test_a_twin_is_wrong_as_its_other_half_is_right_and_its_tag_says_where_the_words_are(tmp_path: Path) -> None:
    items = sorted(small_items(tmp_path, 2))
    assert [(item.source, item.target, item.wrong, item.group) for item in items] == [
        ("Read a book.", "看一本书。", "看一封信。", "choice 0"),
        ("Read a letter.", "看一封信。", "看一本书。", "choice 0"),
    ]
    assert items[0].tag == (
        '{"constructions": ["command"], "dependents": [["read/看", "book/书", 2]], "depth": 0, "length": 3, '
        '"senses": ["read/看", "book/书"], "words": {"verb": 0, "word": 2}}'
    )
    assert items[0].translations == ["看一本书。"]


def test_a_rule_may_write_the_wrong_choices_itself(tmp_path: Path) -> None:
    also = ("twin-en:", 'wrong-zh: "{do}{one}。", twin-wrong-zh: "{do}{other}。", twin-en:')
    items = small_items(tmp_path, 2, also)
    assert {(item.target, item.wrong) for item in items} == {("看一本书。", "看书。"), ("看一封信。", "看信。")}


def test_a_probe_may_ask_for_no_choice(tmp_path: Path) -> None:
    items = small_items(tmp_path, 2, ("twin-en:", "wrong-zh: none, twin-wrong-zh: none, twin-en:"))
    assert [item.wrong for item in items] == [None, None]


@pytest.mark.usefixtures("impatient")
def test_a_twin_whose_wrong_choice_is_a_translation_is_drawn_again(tmp_path: Path) -> None:
    also = ("twin-en:", 'wrong-zh: "{do}一{one.classifier}{one}。", twin-en:')
    with pytest.raises(PhrasebookError) as error:
        small_items(tmp_path, 2, also)
    message = "2 items of the probe choice of task small were asked for, but only 0 could be found; ask for fewer."
    assert str(error.value) == message


def test_an_item_that_whole_sentences_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhrasebookError) as error:
        small_items(tmp_path, 2, ('zh: "{do}一{one.classifier}{one}。"', 'zh: "{do}{one}。"'))
    assert str(error.value) in {
        f"rules.yaml:1: the probe choice translates “Read a {english}.” as “看{chinese}。”, which is no translation by the "
        "rules for whole sentences; write rules that allow it, or correct this one."
        for english, chinese in (("book", "书"), ("letter", "信"))
    }


def test_a_mark_of_a_word_that_is_not_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhrasebookError) as error:
        small_items(tmp_path, 2, ("  mark: {verb: do, word: one}", "  mark: {verb: do, word: other}"))
    assert str(error.value) == "rules.yaml:1: `mark` asks for the place of part other, which `en` does not write."


def test_a_probe_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    phrasebook = Phrasebook("small", write(tmp_path, **PROBE))
    with pytest.raises(PhrasebookError) as error:
        next(probe_entries(phrasebook, "choices", 2, random.randrange(9), Taken()))
    assert str(error.value) == "task small has no probe choices. Did you mean `choice`?"
