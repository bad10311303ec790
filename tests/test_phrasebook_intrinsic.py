"""The tables by which representations are measured: what each promises, recomputed from what is written."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

import pairs
from small_phrasebook import ALL_SMALL_PAIRS, write
from translab.corpora.audit import LeakageError, audit_leakage, read_splits
from translab.corpora.intrinsic import CLASSES, SENSES, carry_intrinsic
from translab.corpora.phrasebook import Phrasebook, load
from translab.corpora.phrasebook.conditional import Condition, Conditional
from translab.corpora.phrasebook.derivations import senses, written_forms
from translab.corpora.phrasebook.senses import Occurrence, occurrences
from translab.corpora.phrasebook.topics import Labelled, topic_sentences, word_classes
from translab.corpora.readers import Row
from translab.corpora.splitting import Splits, keyed, normalised
from translab.files import read_table, write_json, write_table

LANGUAGES = {"a": ("en", "zh"), "b": ("en", "zh")}
GRAMMATICAL = {
    "Pronoun", "Anaphor", "Name", "Number", "Teen", "Tens", "Ordinal", "Hour", "Month", "Weekday", "Time", "Frequency",
    "Degree", "Modal",
}  # fmt: skip
WANTED = 4


@pytest.fixture(scope="module")
def found() -> list[Occurrence]:
    return list(occurrences(load("everyday"), WANTED, 3, {"nosentence"}))


@pytest.fixture(scope="module")
def sentences() -> list[Labelled]:
    return list(topic_sentences(load("everyday"), 480, 3, set()))


# --- Senses


def test_enough_forms_have_as_many_occurrences_of_either_sense_in_either_fold(found: list[Occurrence]) -> None:
    counts = Counter((each.form, each.sense, each.fold) for each in found)
    assert set(counts.values()) == {WANTED // 2}
    by_form = Counter(form for form, _, _ in counts)
    assert len(by_form) >= 24
    assert set(by_form.values()) == {4}, "two senses in two folds"
    assert len({normalised(each.source) for each in found}) == len(found)


def test_the_folds_of_a_form_share_no_content_word_and_no_template(found: list[Occurrence]) -> None:
    grammatical = {each.name for each in load("everyday").senses if each.word_class in GRAMMATICAL}
    words: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    templates: dict[str, tuple[set[frozenset[str]], set[frozenset[str]]]] = defaultdict(lambda: (set(), set()))
    for each in found:
        tag = json.loads(each.tag)
        assert each.sense in tag["senses"]
        words[each.form][each.fold].update(set(tag["senses"]) - grammatical - {each.sense})
        templates[each.form][each.fold].add(frozenset(tag["constructions"]))
    for form, content in words.items():
        for first, second in (content, templates[form]):
            assert first
            assert second
            assert not first & second, form
        english = [{name.rpartition("/")[0] for name in fold} for fold in content]
        assert not english[0] & english[1], form


def test_the_span_is_the_form_as_it_is_written(found: list[Occurrence]) -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for form, meanings in written_forms(load("everyday").grammar.root).items():
        for each in meanings:
            written[each.name].add(form)
    surfaces = Counter()
    for each in found:
        surface = each.source[each.start : each.end]
        assert surface.lower() in written[each.sense], each
        surrounding = f" {each.source} "[each.start : each.end + 2]
        assert not surrounding[0].isalpha()
        assert not surrounding[-1].isalpha()
        surfaces[surface == each.form] += 1
    assert surfaces[False] > 20, "plurals and past tenses occur too"


def test_a_sentence_has_no_other_reading_of_the_form(found: list[Occurrence]) -> None:
    phrasebook = load("everyday")
    other = {(each.form, each.sense): each.sense for each in found}
    for each in random.Random(1).sample(found, 60):
        readings = {
            name
            for derivation in phrasebook.parser.translated(each.source).values()
            for name in (sense.name for sense in senses(derivation))
            if (each.form, name) in other
        }
        assert readings == {each.sense}, each


def test_no_occurrence_is_longer_than_training_or_holds_a_held_out_combination(found: list[Occurrence]) -> None:
    exempt = {sense.name for sense in load("everyday").senses if sense.word_class in ("Pronoun", "Name")}
    for each in found:
        tag = json.loads(each.tag)
        assert 3 <= tag["length"] == len(each.source.split()) <= 13
        pairs = [sorted(names) for *names, _ in tag["dependents"] if not exempt & set(names)]
        hashes = [hashlib.blake2b("\t".join(pair).encode(), digest_size=8).digest() for pair in pairs]
        assert all(int.from_bytes(each, "big") % 12 for each in hashes), tag


def test_sentences_that_are_taken_are_not_used_again() -> None:
    taken: set[str] = set()
    first = {normalised(each.source) for each in topic_sentences(load("travel"), 24, 1, taken)}
    assert taken == first
    again = {normalised(each.source) for each in topic_sentences(load("travel"), 24, 1, taken)}
    assert not again & first


# --- Topics


def test_topics_are_balanced_and_two_thirds_are_for_training(sentences: list[Labelled]) -> None:
    counts = Counter((each.label, each.part) for each in sentences)
    assert len(counts) == 16
    assert {part: {count for (_, other), count in counts.items() if other == part} for part in ("train", "test")} == {
        "train": {40}, "test": {20}
    }  # fmt: skip


def test_no_mark_and_no_function_word_tells_the_topic(sentences: list[Labelled]) -> None:
    labels = 8
    marks = Counter((each.source[-1], each.label) for each in sentences)
    guessed = sum(max(count for (other, _), count in marks.items() if other == mark) for mark in {mark for mark, _ in marks})
    assert guessed / len(sentences) < 1 / labels + 0.06
    for word in ("a", "the", "is", "was", "not", "very", "that", "in", "to", "did"):
        split = Counter((word in each.source.lower().split(), each.label) for each in sentences)
        guessed = sum(max(count for (has, _), count in split.items() if has is value) for value in (True, False))
        assert guessed / len(sentences) < 1 / labels + 0.08, word


def test_the_nouns_that_are_tested_are_not_those_that_are_trained(sentences: list[Labelled]) -> None:
    classes = dict(word_classes(load("everyday")))
    nouns: dict[str, set[str]] = {"train": set(), "test": set()}
    for each in sentences:
        nouns[each.part] |= {word for word in each.source.strip(".?!").split() if classes.get(word) == each.label}
    assert len(nouns["train"]) > len(nouns["test"]) > 20
    assert not nouns["train"] & nouns["test"]


# --- Word classes


def test_a_word_has_one_class_and_is_nothing_else() -> None:
    rows = word_classes(load("everyday"))
    words = dict(rows)
    assert len(words) == len(rows)
    assert (words["dog"], words["apple"], words["Friday"], words["teacher"]) == ("animals", "food", "weekdays", "people")
    # A tool and the past of see; a fruit and a colour; two senses; a word of the rules.
    assert not {"saw", "orange", "bank", "watch", "go"} & words.keys()
    assert all(" " not in word for word in words)


# --- Drawing under a condition


def test_conditions_are_met_and_have_the_probability_that_counting_gives(tmp_path: Path) -> None:
    phrasebook = Phrasebook("small", write(tmp_path))
    apple, _, letter, *_ = phrasebook.senses
    grammar = Conditional(phrasebook.grammar.root, [Condition({id(letter)}, set()), Condition({id(apple)}, {id(letter)})])
    generator = random.Random(1)
    drawn = {phrasebook.read(grammar.draw(generator, 0)).source for _ in range(60)}
    assert drawn == {source for source, _ in ALL_SMALL_PAIRS if "letter" in source}
    free = [phrasebook.read(phrasebook.grammar.draw(generator, phrasebook.grammar.root)).source for _ in range(4_000)]
    assert grammar.probability(0) == pytest.approx(sum("letter" in source for source in free) / 4_000, abs=0.03)
    assert grammar.probability(1) == pytest.approx(sum("apple" in source for source in free) / 4_000, abs=0.03)


# --- From the corpus to the text


def raw_tables(folder: Path, sources: list[str]) -> Path:
    rows = [
        {"form": "bat", "sense": "bat/球棒", "source": source, "start": 4, "end": 7, "fold": 0, "tag": "{}"}
        for source in sources
    ]
    write_table(folder / "intrinsic/senses.parquet", pa.Table.from_pylist(rows, schema=SENSES))
    words = [{"word": f"word{n}", "class": "many" if n < 7 else "few"} for n in range(12)]
    write_table(folder / "intrinsic/classes.parquet", pa.Table.from_pylist(words, schema=CLASSES))
    return folder


def in_splits(**sources: list[str]) -> Splits:
    """Splits of a task with these sources."""
    return {
        name: keyed(pairs.table(Row(source, f"{number}", None, None, None) for number, source in enumerate(found)))
        for name, found in sources.items()
    }


def test_tables_are_carried_without_what_is_used_what_cleaning_changes_and_what_is_rare(tmp_path: Path) -> None:
    raw = raw_tables(tmp_path / "raw", ["The bat broke.", "The bat  fell.", "The bat flew."])
    train = [" ".join(f"word{n}" for n in range(12) if n != 6) + "."] * 5 + ["Word6."] * 9
    splits = {"a": in_splits(train=train, test=["the bat flew"]), "b": in_splits(train=[])}
    counts = carry_intrinsic(raw, tmp_path / "text", "a", True, splits, LANGUAGES)
    assert counts == {"classes": {"kept": 6, "dropped": 6}, "senses": {"kept": 1, "dropped": 2}}
    assert read_table(tmp_path / "text/intrinsic/senses.parquet").column("source").to_pylist() == ["The bat broke."]
    assert read_table(tmp_path / "text/intrinsic/classes.parquet").column("word").to_pylist() == [f"word{n}" for n in range(6)]


def test_a_corpus_without_tables_gives_a_text_without(tmp_path: Path) -> None:
    splits = {"a": in_splits(train=[]), "b": in_splits(train=[])}
    assert carry_intrinsic(tmp_path, tmp_path / "text", "a", True, splits, LANGUAGES) is None
    assert not (tmp_path / "text").exists()


def test_a_table_that_shares_a_sentence_with_a_split_of_either_task_fails_the_audit(tmp_path: Path) -> None:
    for task in ("a", "b"):
        for number, split in enumerate(("train", "valid", "tests/test")):
            pair = {"source": [f"{task} sentence {number}."], "target": [f"{task}句子{number}"], "group": [f"{number}"]}
            write_table(tmp_path / task / f"{split}.parquet", pa.table(pair))
        languages = {"source_language": "en", "target_language": "zh", "phrasebook": "everyday"}
        write_json(tmp_path / task / "languages.json", languages)
    folders = {task: tmp_path / task for task in ("a", "b")}
    raw_tables(folders["a"], ["The bat broke."])
    splits = {task: read_splits(folder) for task, folder in folders.items()}
    compared = audit_leakage(splits, folders)
    assert sum(record["first"] == "a intrinsic senses source" for record in compared) == 6
    raw_tables(folders["a"], ["B sentence 0!"])
    with pytest.raises(LeakageError, match="stand in a intrinsic senses source and in b train source"):
        audit_leakage(splits, folders)
