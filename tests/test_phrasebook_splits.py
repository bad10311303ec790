"""The splits of the phrasebook: what each promises, recomputed from the tags alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from small_phrasebook import PROBE, write
from translab.corpora.phrasebook import Entry, Phrasebook, PhrasebookError, corpus, load
from translab.corpora.splitting import normalised

SIZES = {"train": 3_000, "valid": 200, "test": 200, "compositional": 200, "longer": 200}
PROBE_ITEMS = 20
NONE = dict.fromkeys(SIZES, 0)
PROGRAM = """
from translab.corpora.phrasebook import corpus
for entry in corpus("travel", {"train": 300, "valid": 30, "test": 30, "compositional": 30, "longer": 30}, 4, 5):
    print(entry)
"""


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return list(corpus("travel", SIZES, PROBE_ITEMS, 3))


@pytest.fixture(scope="module")
def tags(entries: list[Entry]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for entry in entries:
        found[entry.split].append(json.loads(entry.tag))
    return found


def combinations(tag: dict[str, Any]) -> set[frozenset[str]]:
    return {frozenset(names) for *names, _ in tag["dependents"]}


def held_out(tag: dict[str, Any]) -> bool:
    """Whether one of the combinations is kept from training by the hash of its names; pronouns and names are exempt."""
    exempt = {sense.name for sense in load("travel").senses if sense.word_class in ("Pronoun", "Name")}
    names = [sorted(pair[:2]) for pair in tag["dependents"] if not exempt & set(pair[:2])]
    hashes = [hashlib.blake2b("\t".join(pair).encode(), digest_size=8).digest() for pair in names]
    return any(int.from_bytes(each, "big") % 12 == 0 for each in hashes)


def test_each_split_has_the_size_that_was_asked_for(entries: list[Entry]) -> None:
    counts = Counter(entry.split for entry in entries)
    probes = {f"probe-{name}": PROBE_ITEMS for name in load("travel").probes}
    assert counts == {
        "train": 3_000, "valid": 200, "test": 200, "test-compositional": 200, "test-longer": 200, **probes
    }  # fmt: skip


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_sentence_is_in_two_splits(side: str, entries: list[Entry]) -> None:
    splits = defaultdict(set)
    for entry in entries:
        splits[normalised(getattr(entry, side))].add(entry.split)
    assert [text for text, found in splits.items() if len(found) > 1] == []


def test_no_sentence_is_twice_in_a_split_of_pairs(entries: list[Entry]) -> None:
    pairs = [entry for entry in entries if entry.group is None]
    assert (
        len({normalised(entry.source) for entry in pairs}) == len({normalised(entry.target) for entry in pairs}) == len(pairs)
    )


def test_a_compositional_pair_combines_known_words_as_training_never_does(tags: dict[str, list[dict[str, Any]]]) -> None:
    known = {key: {name for tag in tags["train"] for name in tag[key]} for key in ("senses", "constructions")}
    trained = set().union(*map(combinations, tags["train"]))
    for tag in tags["test-compositional"]:
        assert combinations(tag) - trained, tag
        assert held_out(tag), tag
        for key, names in known.items():
            assert names.issuperset(tag[key]), tag


def test_other_splits_hold_no_combination_that_is_held_out(tags: dict[str, list[dict[str, Any]]]) -> None:
    for split in ("train", "valid", "test", "test-longer"):
        assert not any(map(held_out, tags[split])), split


def test_a_longer_pair_has_more_words_than_any_in_training_and_no_unknown_one(
    entries: list[Entry], tags: dict[str, list[dict[str, Any]]]
) -> None:
    longest = max(len(entry.source.split()) for entry in entries if entry.split == "train")
    assert longest == max(tag["length"] for tag in tags["train"]) <= 16
    assert all(longest < len(entry.source.split()) <= 30 for entry in entries if entry.split == "test-longer")
    assert fmean(tag["depth"] for tag in tags["test-longer"]) > 2 * fmean(tag["depth"] for tag in tags["train"])
    for key in ("senses", "constructions"):
        known = {name for tag in tags["train"] for name in tag[key]}
        assert all(known.issuperset(tag[key]) for tag in tags["test-longer"])


def test_validation_and_test_come_from_the_distribution_of_training(tags: dict[str, list[dict[str, Any]]]) -> None:
    means = [sum(tag["length"] for tag in tags[split]) / len(tags[split]) for split in ("train", "valid", "test")]
    assert max(means) - min(means) < 0.8


def test_translations_hold_the_target_and_are_given_where_they_are_scored(entries: list[Entry]) -> None:
    for entry in entries:
        assert (entry.translations is None) == (entry.split == "train")
        if entry.translations is not None:
            assert entry.target in entry.translations
            assert entry.translations == sorted(set(entry.translations))


def test_the_same_seed_gives_the_same_bytes_in_another_process_with_another_hash_order() -> None:
    outputs = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count(b"\n") > 420


def test_another_seed_gives_other_entries() -> None:
    sizes = {**NONE, "train": 300}
    first, second = (list(corpus("everyday", sizes, 0, seed)) for seed in (1, 2))
    assert len({entry.source for entry in first} & {entry.source for entry in second}) < 60


# --- A small grammar, which cannot make much


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phrasebook = Phrasebook("small", write(tmp_path, **PROBE))
    monkeypatch.setattr("translab.corpora.phrasebook.splits.load", lambda task: phrasebook)
    for module in ("splits", "probes"):
        monkeypatch.setattr(f"translab.corpora.phrasebook.{module}.PATIENCE", 500)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("sizes", "probe_items", "message"),
    [
        ({"train": 9}, 0, "9 i.i.d. pairs of task small were asked for, but only 6 could be found; ask for fewer."),
        ({"train": 6}, 2, "6 i.i.d. pairs of task small were asked for, but only 4 could be found; ask for fewer."),
        (
            {"compositional": 1},
            0,
            "1 compositional pairs of task small were asked for, but only 0 could be found; ask for fewer.",
        ),
        ({"longer": 99}, 0, "99 longer pairs of task small were asked for, but only 0 could be found; ask for fewer."),
        ({}, 4, "4 items of the probe choice of task small were asked for, but only 2 could be found; ask for fewer."),
        ({}, 3, "3 probe items were asked for, but items come in twins; ask for an even number."),
    ],
)
def test_a_split_that_is_too_large_is_refused(sizes: dict[str, int], probe_items: int, message: str) -> None:
    with pytest.raises(PhrasebookError) as error:
        list(corpus("small", NONE | sizes, probe_items, 1))
    assert str(error.value) == message
