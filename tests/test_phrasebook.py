"""The phrasebook: what it writes, and how it refuses data files that are wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from translab.corpora.phrasebook import Pair, Phrasebook, PhrasebookError, generate, load, statistics
from translab.corpora.phrasebook.lexicon import is_chinese

TASKS = ("everyday", "travel")
SAMPLE = 6_000

TASKS_FILE = """\
small:
  definitions: definitions.yaml
  lexicon: words.yaml
  rules: rules.yaml
  start: Sentence
  depth: 1
  shortest: 2
  longest: 9
"""
DEFINITIONS_FILE = """\
features:
  form: {kind: value, weights: {singular: 1, plural: 1}}
  class: {kind: is}
  object: {kind: takes}
classes:
  thing: ""
  food: thing
  text: thing
words:
  Noun:
    features: class
    fields: classifier
    forms: {singular: {en: base, zh: "{}"}, plural: {en: plural, zh: "{}"}}
    once: yes
  Verb: {features: object, fields: "", once: yes}
tables: {}
symbols: {Sentence: "", NP: class}
articles: {vowel: [hour], consonant: [university]}
"""
WORDS_FILE = """\
Noun:
  - {en: apple, zh: 苹果, classifier: 个, class: food}
  - {en: book, zh: 书, classifier: 本, class: text}
  - {en: letter, zh: 信, classifier: 封, class: text}
Verb:
  - {en: eat, zh: 吃, object: food}
  - {en: read, zh: 看, object: text}
"""
RULES_FILE = """\
- {for: Sentence, weight: 1, construction: command, parts: {do: Verb object=$o, what: NP class=$o}, en: "{do} {what}.", zh: "{do}{what}。"}
- {for: NP class=$c, weight: 1, parts: {noun: Noun class=$c form=singular}, en: "a {noun}", zh: "一{noun.classifier}{noun}"}
- {for: NP class=$c, weight: 1, construction: plural, parts: {noun: Noun class=$c form=plural}, en: "the {noun}", zh: "那些{noun}"}
"""  # noqa: E501 (one rule a line, so that an error names it)
ALL_SMALL_PAIRS = {
    ("Eat an apple.", "吃一个苹果。"),
    ("Eat the apples.", "吃那些苹果。"),
    ("Read a book.", "看一本书。"),
    ("Read the books.", "看那些书。"),
    ("Read a letter.", "看一封信。"),
    ("Read the letters.", "看那些信。"),
}


def write(folder: Path, **changes: tuple[str, str]) -> Path:
    """The small grammar above, with a text in some of its files replaced by another."""
    files = {"tasks": TASKS_FILE, "definitions": DEFINITIONS_FILE, "words": WORDS_FILE, "rules": RULES_FILE}
    for name, (old, new) in changes.items():
        assert old in files[name], old
        files[name] = files[name].replace(old, new)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small grammar is exhausted soon."""
    monkeypatch.setattr("translab.corpora.phrasebook.PATIENCE", 1_000)


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(task: str) -> list[Pair]:
    return list(generate(task, SAMPLE, 1))


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
    assert len({(pair.source, pair.target) for pair in sample}) == SAMPLE
    assert len({pair.source for pair in sample}) > 0.999 * SAMPLE
    assert len({pair.target for pair in sample}) > 0.999 * SAMPLE


def test_english_is_a_capitalised_ascii_sentence_of_3_to_20_words(sample: list[Pair]) -> None:
    for pair in sample:
        assert re.fullmatch(r"[A-Z][A-Za-z',\- ]*[.?]", pair.source), pair.source
        assert "  " not in pair.source
        assert 3 <= len(pair.source.split()) <= 20, pair.source


def test_chinese_is_han_characters_with_chinese_punctuation(sample: list[Pair]) -> None:
    for pair in sample:
        assert pair.target[-1] in "。？", pair.target
        assert is_chinese(re.sub("，", "", pair.target[:-1])), pair.target
        assert ("?" in pair.source) == ("？" in pair.target), pair


def test_lengths_are_spread(sample: list[Pair]) -> None:
    lengths = Counter(len(pair.source.split()) for pair in sample)
    assert all(lengths[length] > 0.01 * SAMPLE for length in range(3, 13)), lengths
    assert sum(lengths[length] for length in range(14, 21)) > 0.03 * SAMPLE, lengths


def test_every_construction_occurs_and_is_named_in_the_tags(task: str, sample: list[Pair]) -> None:
    found = {name for pair in sample for name in json.loads(pair.tag)["constructions"]}
    assert found == {rule.construction for rule in load(task).rules if rule.construction is not None}


def test_every_sense_occurs_and_is_named_in_the_tags(task: str, sample: list[Pair]) -> None:
    found = {name for pair in sample for name in json.loads(pair.tag)["senses"]}
    assert found == {sense.name for sense in load(task).senses}


def test_a_tag_says_what_the_pair_is_made_of(sample: list[Pair]) -> None:
    """Only clauses that stand in others have a depth: `that` reports or relates, `who` relates."""
    for pair in sample:
        tag = json.loads(pair.tag)
        assert list(tag) == ["constructions", "depth", "senses"]
        assert pair.tag == json.dumps(tag, ensure_ascii=False, sort_keys=True)
        nesting = {"reported", "reported-future", "relative-object", "relative-subject"} & set(tag["constructions"])
        assert (tag["depth"] > 0) == bool(nesting), pair
        assert not nesting or {"that", "who"} & set(pair.source.split()), pair


def test_no_noun_occurs_twice_in_a_sentence(task: str, sample: list[Pair]) -> None:
    nouns = {sense.name for sense in load(task).senses if sense.word_class == "Noun"}
    for pair in sample:
        used = [name for name in json.loads(pair.tag)["senses"] if name in nouns]
        assert len(used) == len(set(used)), pair


def test_a_becomes_an_before_a_vowel(sample: list[Pair]) -> None:
    articles = [match for pair in sample for match in re.findall(r"\b([Aa]n?) ([a-z]+)", pair.source)]
    assert {"a", "an"} <= {article for article, _ in articles}
    for article, word in articles:
        assert (article == "an") == (word[0] in "aeiou"), (article, word)


def test_the_classifier_follows_the_noun(task: str, sample: list[Pair]) -> None:
    nouns = {sense.name: sense for sense in load(task).senses if sense.word_class == "Noun"}
    checked = 0
    for pair in sample:
        for match in re.finditer(r"(?:一|这|那|两|三)([个本张只条辆件顶把封部台匹块份位])([^一这那]+)", pair.target):
            used = [nouns[name] for name in json.loads(pair.tag)["senses"] if name in nouns]
            following = [noun for noun in used if match[2].startswith(noun.chinese)]
            if following:
                checked += 1
                noun = max(following, key=lambda noun: len(noun.chinese))
                assert noun.own["classifier"] == match[1], pair
    assert checked > 500


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (r"^(He|She) (is|was|has|does|wants|likes|needs|knows|says)\b", None),
        (r"^(We|They|You) (are|were|have|do|want|like|need|know|say)\b", None),
        (r" did not ", "没"),
        (r"^(Do|Does) .* like ", "喜欢"),
        (r"^Did .*\?$", "吗？"),
        (r" than (him|her|me|us|them)\.$", "比"),
        (r"^There (is|are) ", "有"),
        (r" (was|were) \w+ by ", "被"),
        (r" o'clock", "点"),
        (r"^If ", "如果"),
    ],
)
def test_constructions_are_rendered_in_both_languages(english: str, chinese: str | None, sample: list[Pair]) -> None:
    found = [pair for pair in sample if re.search(english, pair.source)]
    assert found
    assert all(chinese is None or chinese in pair.target for pair in found)


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


def test_statistics_are_large_enough(task: str) -> None:
    figures = statistics(task)
    assert figures["senses"] >= 300
    assert figures["constructions"] >= 100
    assert figures["distinct_pairs"] > 200_000
    assert figures["distinct_pairs_is"] == "lower bound (95 %)"


def test_the_tasks_share_constructions_and_words_but_have_their_own() -> None:
    constructions = [{rule.construction for rule in load(task).rules} for task in TASKS]
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
        '{"constructions": ["command", "plural"], "depth": 0, "senses": ["read/看", "book/书"]}'
    }


@pytest.mark.usefixtures("impatient")
def test_more_pairs_than_there_are_is_an_error_that_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Phrasebook("small", write(tmp_path))
    monkeypatch.setattr("translab.corpora.phrasebook.load", lambda task: small)
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


BROKEN = {
    "a noun without a classifier": (
        {"words": (", classifier: 本", "")},
        "words.yaml:3: this Noun has no classifier; a Noun needs en, zh, class, classifier.",
    ),
    "a sense without its Chinese side": (
        {"words": ("zh: 吃, ", "")},
        "words.yaml:6: this Verb has no zh; a Verb needs en, zh, object.",
    ),
    "an empty side": (
        {"words": ("zh: 吃", 'zh: ""')},
        "words.yaml:6: the Chinese side must be Chinese characters, found ``.",
    ),
    "a Chinese side that is not Chinese": (
        {"words": ("zh: 书", "zh: shu")},
        "words.yaml:3: the Chinese side must be Chinese characters, found `shu`.",
    ),
    "an English side that is not ASCII": (
        {"words": ("en: letter", "en: café")},
        "words.yaml:4: the English side must be ASCII text, found `café`.",
    ),
    "a sense that is written twice": (
        {"words": ("Verb:", "  - {en: book, zh: 书, classifier: 本, class: text}\nVerb:")},
        "words.yaml:5: the sense book/书 of Noun stands at words.yaml:3 already; remove one of them.",
    ),
    "a field that is not known": (
        {"words": ("classifier: 本", "classifier: 本, plurall: books")},
        "words.yaml:3: `plurall` is not known here. Did you mean `plural`?",
    ),
    "a class that is not known": (
        {"words": ("classifier: 本, class: text", "classifier: 本, class: texts")},
        "words.yaml:3: `texts` is not a value of class. Did you mean `text`?",
    ),
    "a word class that is not known": (
        {"words": ("Verb:", "Verbs:")},
        "words.yaml:6: Verbs is not a word class. Did you mean `Verb`?",
    ),
    "a sense that no rule reaches": (
        {"words": ("class: food}", "class: thing}\n  - {en: pear, zh: 梨, classifier: 个, class: food}")},
        "words.yaml:2: in task small no sentence uses the sense apple/苹果 of Noun.",
    ),
    "a rule that nothing reaches": (
        {
            "definitions": ("symbols: {", 'symbols: {AP: "", '),
            "rules": ("- {for: Sentence", "- {for: AP, weight: 1, en: very, zh: 很}\n- {for: Sentence"),
        },
        "rules.yaml:1: in task small no sentence uses this rule for AP.",
    ),
    "a symbol that is not known": (
        {"rules": ("what: NP", "what: MP")},
        "rules.yaml:1: MP is neither a symbol nor a word class. Did you mean `NP`?",
    ),
    "a symbol without a rule": (
        {"definitions": ("symbols: {", 'symbols: {AP: "", '), "rules": ("{noun: Noun class=$c form=singular}", "{noun: AP}")},
        "rules.yaml:2: there is no rule for AP, which part noun needs.",
    ),
    "a feature that a symbol does not have": (
        {"rules": ("for: NP class=$c", "for: Sentence class=$c")},
        "rules.yaml:2: Sentence has no feature class.",
    ),
    "a rule for a word class": (
        {"rules": ("for: NP class=$c", "for: Noun class=$c")},
        "rules.yaml:2: Noun is a word class; rules are for symbols.",
    ),
    "a part that is left out of the template": (
        {"rules": ('zh: "{do}{what}。"', 'zh: "{do}。"')},
        "rules.yaml:1: part what does not occur on the Chinese side.",
    ),
    "a place that no part fills": (
        {"rules": ('en: "{do} {what}."', 'en: "{do} {whom}{what}."')},
        "rules.yaml:1: {whom} is not a part of this rule. Did you mean `what`?",
    ),
    "a brace without a partner": (
        {"rules": ('zh: "那些{noun}"', 'zh: "那些{noun}}"')},
        "rules.yaml:3: a brace in `那些{noun}}` has no partner.",
    ),
    "a field that words do not have": (
        {"rules": ("{noun.classifier}", "{noun.measure}")},
        "rules.yaml:2: words of class Noun have no field `measure`.",
    ),
    "a field that rules do not give": (
        {"rules": ('zh: "{do}{what}。"', 'zh: "{do}{what.classifier}{what}。"')},
        "rules.yaml:1: {what.classifier} needs a field that the rule at rules.yaml:2 does not give.",
    ),
    "a table that does not exist": (
        {"rules": ('en: "{do} {what}."', 'en: "{do} {be:$o} {what}."')},
        "rules.yaml:1: be is not a table.",
    ),
    "a variable in a template that nothing binds": (
        {
            "rules": ('en: "{do} {what}."', 'en: "{do} {be:$x} {what}."'),
            "definitions": ("tables: {}", "tables: {be: {feature: class, en: {food: is}}}"),
        },
        "rules.yaml:1: nothing binds $x.",
    ),
    "a table without the entry": (
        {
            "rules": ('en: "{do} {what}."', 'en: "{do} {be:$o} {what}."'),
            "definitions": ("tables: {}", "tables: {be: {feature: class, en: {food: is}}}"),
        },
        "rules.yaml:1: the table has no entry for text, the value of $o.",
    ),
    "a feature that is left open": (
        {"rules": ("what: NP class=$o", "what: NP")},
        "rules.yaml:1: part what leaves class open, which has no weights; give it a value.",
    ),
    "a value that a feature does not have": (
        {"rules": ("form=plural", "form=plurals")},
        "rules.yaml:3: `plurals` is not a value of form. Did you mean `plural`?",
    ),
    "a weight that is no number": (
        {"rules": ("- {for: Sentence, weight: 1", "- {for: Sentence, weight: many")},
        "rules.yaml:1: expected a number, found `many`.",
    ),
    "recursion without end": (
        {
            "rules": (
                'parts: {noun: Noun class=$c form=plural}, en: "the {noun}", zh: "那些{noun}"',
                'parts: {what: NP class=$c}, en: "the {what}", zh: "那些{what}"',
            )
        },
        "rules.yaml:2: NP contains itself without end; mark a rule on the way as `deeper: yes`.",
    ),
    "a class below itself": (
        {"definitions": ('thing: ""', "thing: food")},
        "definitions.yaml:6: class thing lies below itself.",
    ),
    "an inflection that does not exist": (
        {"definitions": ("en: plural", "en: plurals")},
        "definitions.yaml:13: `plurals` is not an English inflection. Did you mean `plural`?",
    ),
    "a key that is written twice": (
        {"words": ("zh: 书", "zh: 书, en: book")},
        "words.yaml:3: `en` stands here a second time.",
    ),
    "a file that is not YAML": (
        {"words": ("{en: book", "{en: book: ")},
        "words.yaml:3: this is not YAML; look for a bracket, a quote or a colon that is too many or missing.",
    ),
    "a start without a rule": (
        {"tasks": ("start: Sentence", "start: Sentences")},
        "tasks.yaml:5: there is no rule for Sentences.",
    ),
    "a start with features": (
        {"tasks": ("start: Sentence", "start: NP")},
        "tasks.yaml:5: NP has features; a sentence can have none.",
    ),
    "a depth below zero": (
        {"tasks": ("depth: 1", "depth: -1")},
        "tasks.yaml:6: expected a whole number of 0 or more, found `-1`.",
    ),
}


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_a_wrong_data_file_is_refused_with_file_and_line(fault: str, tmp_path: Path) -> None:
    changes, message = BROKEN[fault]
    with pytest.raises(PhrasebookError) as error:
        Phrasebook("small", write(tmp_path, **changes))
    assert str(error.value) == message


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, tasks=("rules: rules.yaml", "rules: rule.yaml"))
    with pytest.raises(PhrasebookError) as error:
        Phrasebook("small", tmp_path)
    assert str(error.value) == f"rule.yaml: there is no such file in {tmp_path}."
