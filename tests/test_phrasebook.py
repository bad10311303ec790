"""The phrasebook: what it writes."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from small_phrasebook import ALL_SMALL_PAIRS, write
from translab.corpora.phrasebook import Pair, Phrasebook, PhrasebookError, generate, load, statistics
from translab.corpora.phrasebook.lexicon import is_chinese

TASKS = ("everyday", "travel")
SAMPLE = {"everyday": 20_000, "travel": 6_000}
"""As many pairs as the corpora train on."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small grammar is exhausted soon."""
    monkeypatch.setattr("translab.corpora.phrasebook.book.PATIENCE", 1_000)


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(task: str) -> list[Pair]:
    return list(generate(task, SAMPLE[task], 1))


# --- What it writes


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others(task: str, sample: list[Pair]) -> None:
    again = list(generate(task, 500, 1))
    other = list(generate(task, 500, 2))
    assert again == sample[:500]
    assert len({pair.source for pair in other} & {pair.source for pair in again}) < 100


def test_another_process_with_another_hash_order_gives_the_same_bytes() -> None:
    program = "from translab.corpora.phrasebook import generate; print(*generate('travel', 200, 1), sep='\\n')"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(pair) for pair in generate("travel", 200, 1)]


def test_more_pairs_start_with_the_same_pairs() -> None:
    assert list(generate("travel", 50, 3)) == list(generate("travel", 80, 3))[:50]


def test_no_pair_comes_twice_and_sentences_rarely_do(sample: list[Pair]) -> None:
    assert len({(pair.source, pair.target) for pair in sample}) == len(sample)
    assert len({pair.source for pair in sample}) > 0.99 * len(sample)
    assert len({pair.target for pair in sample}) > 0.99 * len(sample)


def test_english_is_a_capitalised_ascii_sentence_of_3_to_16_words(sample: list[Pair]) -> None:
    for pair in sample:
        assert re.fullmatch(r"[A-Z][A-Za-z',?!. \-]*[.?!]", pair.source), pair.source
        assert not re.search(r"  | [,.?!]|[,.?!]\S", pair.source), pair.source
        assert 3 <= len(pair.source.split()) <= 16, pair.source


def test_chinese_is_han_characters_with_chinese_punctuation(sample: list[Pair]) -> None:
    for pair in sample:
        assert pair.target[-1] in "。？！", pair.target
        assert is_chinese(re.sub("[，、。？！：]", "", pair.target)), pair.target
        assert ("?" in pair.source) == ("？" in pair.target), pair


def test_lengths_are_spread(task: str, sample: list[Pair]) -> None:
    lengths = Counter(len(pair.source.split()) for pair in sample)
    assert all(lengths[length] > 0.005 * len(sample) for length in range(3, 12)), lengths
    assert lengths[load(task).longest] > 0.005 * len(sample), lengths


def test_tags_name_constructions_and_senses_and_hardly_any_is_rare(task: str, sample: list[Pair]) -> None:
    """A word that training shows never or once cannot be learnt."""
    phrasebook = load(task)
    tags = [json.loads(pair.tag) for pair in sample]
    for key, known in (("constructions", phrasebook.constructions), ("senses", {sense.name for sense in phrasebook.senses})):
        found = Counter(name for tag in tags for name in tag[key])
        assert found.keys() <= known
        assert sum(found[name] >= 2 for name in known) >= 0.95 * len(known), sorted(known - found.keys())


def test_a_tag_says_what_the_pair_is_made_of(task: str, sample: list[Pair]) -> None:
    nesting = {rule.construction for rule in load(task).rules if rule.deeper}
    for pair in sample:
        tag = json.loads(pair.tag)
        assert list(tag) == ["constructions", "dependents", "depth", "length", "senses"]
        assert pair.tag == json.dumps(tag, ensure_ascii=False, sort_keys=True)
        assert tag["length"] == len(pair.source.split())
        assert (tag["depth"] > 0) == bool(nesting & set(tag["constructions"])), pair
        for first, second, distance in tag["dependents"]:
            assert {first, second} <= set(tag["senses"])
            assert distance is None or 0 <= distance < tag["length"]


def test_the_distance_of_dependents_is_counted_in_english_words(task: str, sample: list[Pair]) -> None:
    """Recomputed for the words that stand in a sentence as in the lexicon, and only once."""
    pronouns = {sense.name for sense in load(task).senses if sense.word_class == "Pronoun"}
    checked = 0
    for pair in sample:
        words = re.sub(r"[,.?!]|(?<=more )\w+|(?<=most )\w+", "", pair.source.lower()).split(" ")
        tag = json.loads(pair.tag)
        known = Counter(word for name in tag["senses"] for word in name.split("/")[0].split())
        for *names, distance in tag["dependents"]:
            first, second = (name.split("/")[0] for name in names)
            alone = all(words.count(word) == known[word] == 1 for word in (first, second))
            if distance is not None and alone and not pronouns & set(names):
                checked += 1
                assert distance == abs(words.index(first) - words.index(second)), pair
    assert checked > 500


def test_no_noun_occurs_twice_in_a_sentence(task: str, sample: list[Pair]) -> None:
    nouns = {sense.name for sense in load(task).senses if sense.word_class == "Noun"}
    for pair in sample:
        used = [name for name in json.loads(pair.tag)["senses"] if name in nouns]
        assert len(used) == len(set(used)), pair


def test_a_becomes_an_before_a_vowel(task: str, sample: list[Pair]) -> None:
    exceptions = load(task).definitions.vowel_sounds | load(task).definitions.consonant_sounds
    articles = [match for pair in sample for match in re.findall(r"\b([Aa]n?) ([a-z]+)", pair.source)]
    assert {"a", "an"} <= {article for article, _ in articles}
    for article, word in articles:
        if word not in exceptions:
            assert (article == "an") == (word[0] in "aeiou"), (article, word)


def test_the_classifier_follows_the_noun(task: str, sample: list[Pair]) -> None:
    nouns = {sense.name: sense for sense in load(task).senses if sense.word_class == "Noun"}
    classifiers = "|".join({noun.own["classifier"] for noun in nouns.values()})
    written = "|".join(sorted({variant for noun in nouns.values() for variant in noun.variants}, key=len, reverse=True))
    counted = re.compile(rf"[两三四五六七八九十这那]({classifiers})({written})")
    checked = 0
    for pair in sample:
        used = [nouns[name] for name in json.loads(pair.tag)["senses"] if name in nouns]
        for classifier, chinese in counted.findall(pair.target):
            allowed = {noun.own["classifier"] for noun in used if chinese in noun.variants}
            checked += bool(allowed)
            assert not allowed or classifier in allowed, pair
    assert checked > 500


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (r"^(He|She) (is|was|has|does|wants|likes|needs|knows|says)\b", None),
        (r"^(We|They|You) (are|were|have|do|want|like|need|know|say)\b", None),
        (r" did not (?!.*until)", "没"),
        (r"^(Do|Does) .* like ", "喜欢"),
        (r"^Did .*\?$", "吗？"),
        (r" than (him|her|me|us|them)\.$", "比"),
        (r"^There (is|are) ", "有"),
        (r" (was|were) \w+ by ", "被"),
        (r" o'clock", "点"),
        (r"^If ", "如果|要是"),
    ],
)
def test_constructions_are_rendered_in_both_languages(english: str, chinese: str | None, sample: list[Pair]) -> None:
    found = [pair for pair in sample if re.search(english, pair.source)]
    assert found
    assert all(chinese is None or re.search(chinese, pair.target) for pair in found)


def test_verbs_agree_with_their_subject(sample: list[Pair]) -> None:
    third, other = "is|was|has|does|wants|likes|needs|knows|says", "are|were|have|do|want|like|need|know|say"
    wrong = re.compile(rf"^((He|She) ({other}|am)|(We|They|You) ({third}|am)|I (is|are|were|has|does|wants|likes))\b")
    assert [pair.source for pair in sample if wrong.search(pair.source)] == []


def test_only_word_order_tells_who_did_what_to_whom(sample: list[Pair]) -> None:
    """Sentences of the same words in both orders exist, and their translations differ."""
    by_words: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for pair in sample:
        words = tuple(sorted(pair.source.lower().strip(".?").split()))
        by_words.setdefault(words, set()).add((pair.source, pair.target))
    reordered = [group for group in by_words.values() if len(group) > 1]
    assert len(reordered) >= 3
    assert all(len({target for _, target in group}) == len(group) for group in reordered)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return statistics()


def test_statistics_count_what_the_files_hold(figures: dict[str, Any]) -> None:
    books = {task: load(task) for task in TASKS}
    assert figures["digest"] == books["everyday"].digest == books["travel"].digest
    for kind, names in (
        ("senses", {task: {sense.name for sense in book.senses} for task, book in books.items()}),
        ("constructions", {task: book.constructions for task, book in books.items()}),
    ):
        shared = names["everyday"] & names["travel"]
        assert figures[kind] == len(names["everyday"] | names["travel"])
        assert figures["overlap"][kind] == {
            "shared": len(shared),
            "share": {task: len(shared) / len(names[task]) for task in TASKS},
        }
        assert {task: figures["tasks"][task][kind] for task in TASKS} == {task: len(names[task]) for task in TASKS}
    assert {figures["tasks"][task]["distinct_pairs_is"] for task in TASKS} == {"lower bound (95 %)"}


def test_the_phrasebook_is_large_enough_for_controlled_experiments(figures: dict[str, Any]) -> None:
    assert figures["senses"] >= 900
    assert figures["constructions"] >= 120
    assert figures["distinct_pairs"] > 1_000_000
    probes = "word-order polysemy agreement long-distance numbers negation reordering pronoun referent end"
    assert set(figures["probes"]) == set(probes.split())
    assert all(probe["items"] >= 1_000 and probe["chance"] == 0.5 for probe in figures["probes"].values())


def test_another_data_file_is_another_digest(tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    first.mkdir()
    other.mkdir()
    digests = {
        Phrasebook("small", write(first)).digest,
        Phrasebook("small", write(other, words=("classifier: 个", "classifier: 只"))).digest,
    }
    assert len(digests) == 2


def test_every_symbol_has_a_rule_in_some_task() -> None:
    made = {rule.head.symbol for task in TASKS for rule in load(task).rules}
    assert made == set(load("travel").definitions.symbols)


def test_the_tasks_share_constructions_and_words_but_have_their_own() -> None:
    constructions = [load(task).constructions for task in TASKS]
    senses = [{sense.name for sense in load(task).senses} for task in TASKS]
    for first, second in (constructions, senses):
        assert first & second
        assert first - second
        assert second - first


def test_a_task_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PhrasebookError) as error:
        next(generate("travels", 1, 1))
    assert str(error.value) == "travels is not a task of the phrasebook. Did you mean `travel`?"


# --- A small grammar, whole and broken


@pytest.mark.usefixtures("impatient")
def test_a_small_grammar_is_exhausted_without_repetition(tmp_path: Path) -> None:
    pairs = list(Phrasebook("small", write(tmp_path)).pairs(1))
    assert len(pairs) == 6
    assert {(pair.source, pair.target) for pair in pairs} == ALL_SMALL_PAIRS
    assert {pair.tag for pair in pairs if pair.source == "Read the books."} == {
        '{"constructions": ["command", "plural"], "dependents": [["read/看", "book/书", 2]], "depth": 0, "length": 3, '
        '"senses": ["read/看", "book/书"]}'
    }


@pytest.mark.usefixtures("impatient")
def test_more_pairs_than_there_are_is_an_error_that_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Phrasebook("small", write(tmp_path))
    monkeypatch.setattr("translab.corpora.phrasebook.book.load", lambda task: small)
    with pytest.raises(PhrasebookError) as error:
        list(generate("small", 7, 1))
    assert str(error.value) == "7 pairs of task small were asked for, but only 6 could be found; ask for fewer."


def test_the_bound_on_distinct_pairs_is_below_the_truth(tmp_path: Path) -> None:
    assert Phrasebook("small", write(tmp_path)).distinct_pairs() <= 6


@pytest.mark.usefixtures("impatient")
def test_depth_limits_how_often_a_rule_may_nest(tmp_path: Path) -> None:
    rule = '- {for: NP class=$c, weight: 9, deeper: yes, parts: {what: NP class=$c}, en: "only {what}", zh: "只{what}"}\n'
    folder = write(tmp_path, rules=("- {for: NP class=$c, weight: 1, parts", f"{rule}- {{for: NP class=$c, weight: 1, parts"))
    pairs = list(Phrasebook("small", folder).pairs(1))
    assert Counter(pair.source.count("only") for pair in pairs) == {0: 6, 1: 6}
    assert {(pair.source.count("only"), json.loads(pair.tag)["depth"]) for pair in pairs} == {(0, 0), (1, 1)}


@pytest.mark.usefixtures("impatient")
def test_variants_are_drawn_alike_and_belong_to_one_sense_and_one_rule(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        words=("zh: 苹果", "zh: [苹果, 平果]"),
        rules=('zh: "那些{noun}"', 'zh: ["那些{noun}", "这些{noun}", "那批{noun}"]'),
    )
    phrasebook = Phrasebook("small", folder)
    pairs = {(pair.source, pair.target): json.loads(pair.tag) for pair in phrasebook.pairs(1)}
    apples = {target for source, target in pairs if source == "Eat the apples."}
    assert apples == {f"吃{those}{apple}。" for those in ("那些", "这些", "那批") for apple in ("苹果", "平果")}
    assert {name for tag in pairs.values() for name in tag["senses"]} == {
        "eat/吃",
        "read/看",
        "apple/苹果",
        "book/书",
        "letter/信",
    }
    assert phrasebook.translations("Eat the apples.") == apples
    generator = random.Random(1)
    draws = [phrasebook.draw(generator, phrasebook.grammar.root, 2, 9) for _ in range(3_000)]
    found = Counter(drawn.target for drawn in draws if drawn is not None and drawn.source == "Eat the apples.")
    assert max(found.values()) < 1.5 * min(found.values())


def test_what_is_accepted_may_have_white_space_at_its_ends(tmp_path: Path) -> None:
    phrasebook = Phrasebook("small", write(tmp_path))
    assert phrasebook.translations("Eat an apple.") == {"吃一个苹果。"}
    assert phrasebook.accepts("Eat an apple.", " 吃一个苹果。\n")
    assert not phrasebook.accepts("Eat an apple.", "吃一本苹果。")
    assert phrasebook.translations("Eat a stone.") == frozenset()


def test_the_head_of_a_phrase_may_be_named(tmp_path: Path) -> None:
    """`Only a good apple` is represented by `good`, if the rule says so."""
    rule = "- {for: NP class=$c, weight: 1, parts: {noun: Noun class=$c form=plural, more: Noun class=$c form=singular}"
    templates = 'en: "{noun} {more}", zh: "{noun}{more}"}\n'
    found = {}
    for name, head in (("class", ""), ("named", "head: more, ")):
        folder = tmp_path / name
        folder.mkdir()
        changes = ("- {for: NP class=$c, weight: 1, parts", f"{rule}, {head}{templates}- {{for: NP class=$c, weight: 1, parts")
        phrasebook = Phrasebook("small", write(folder, rules=changes))
        generator = random.Random(1)
        draws = [phrasebook.draw(generator, phrasebook.grammar.root, 2, 9) for _ in range(300)]
        found[name] = next(drawn.properties() for drawn in draws if drawn is not None and drawn.source == "Read books letter.")
    assert ["read/看", "book/书", 1] in found["class"]["dependents"]
    assert ["read/看", "letter/信", 2] in found["named"]["dependents"]
