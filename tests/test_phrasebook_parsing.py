"""The parser of the phrasebook: it finds exactly the translations that the grammar can write."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from small_grammar import all_derivations, small_phrasebook
from translab.corpora.phrasebook import Phrasebook, load
from translab.corpora.phrasebook.derivations import outputs, repeats, senses, walk
from translab.corpora.phrasebook.parsing import parser

TASKS = ("everyday", "travel")
SAMPLE = 100


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Phrasebook:
    return small_phrasebook(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def pairs(small: Phrasebook) -> list[tuple[str, str]]:
    """Every pair of the small grammar, once for each of its derivations."""
    drawn = [small.read(derivation) for derivation in all_derivations(small.deepest)]
    return [(each.source, each.target) for each in drawn]


def translations(phrasebook: Phrasebook, source: str) -> set[str]:
    return set(parser(phrasebook.deepest, "en").translations(source))


# --- A small grammar, whole


def test_translations_are_all_that_the_grammar_can_write_and_nothing_else(
    small: Phrasebook, pairs: list[tuple[str, str]]
) -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for source, target in pairs:
        written[source].add(target)
    assert len(written) > 4_000
    assert max(map(len, written.values())) > 4
    assert [source for source in written if translations(small, source) != written[source]] == []


@pytest.mark.parametrize("side", ["en", "zh"])
def test_derivations_write_the_sentence_and_each_is_found_once(
    side: str, small: Phrasebook, pairs: list[tuple[str, str]]
) -> None:
    index = ("en", "zh").index(side)
    written: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for pair in pairs:
        written[pair[index]].add(pair)
    for text in random.Random(1).sample(sorted(written), SAMPLE):
        found = list(parser(small.deepest, side).parse(text))
        assert {(small.read(each).source, small.read(each).target) for each in found} == written[text]
        made_of = [tuple((id(part.alternative.origin), outputs(part)["zh"]) for part in walk(each)) for each in found]
        assert len(set(made_of)) == len(made_of), text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("I see you.", {"我看见你。"}),
        ("I follow two men.", set()),
        ("See a cup of tea!", {"看见一杯茶！"}),
        ("See a bottle of tea!", set()),
        ("Let us see a bat!", {"我们看见一只蝙蝠吧！", "我们看见一根球棒吧！"}),
        ("The man followed a bat.", {"那个男人跟踪了一只蝙蝠。"}),
        ("This bat is old, but that one is not.", {"这只蝙蝠老，但是那只不老。", "这根球棒老，但是那根不老。"}),
        ("This is old.", {"这个老。", "这位老。", "这只老。", "这根老。"}),
    ],
)
def test_ambiguity_fields_and_parts_that_only_one_language_mentions(source: str, expected: set[str], small: Phrasebook) -> None:
    assert translations(small, source) == expected


@pytest.mark.parametrize(
    "text",
    ["我看见你们。", "那根男人看见了一只狗。", "看见一瓶茶！", "这只球棒老，但是那根不老。", "这只演员老，但是那只不老。"],
)
def test_a_word_agrees_with_its_fields_wherever_they_stand(text: str, small: Phrasebook) -> None:
    chinese = parser(small.deepest, "zh")
    assert (chinese.translations(text), list(chinese.parse(text)), chinese.nearest(text, ())) == (frozenset(), [], None)


def test_every_variant_of_words_and_of_rules_is_a_translation(small: Phrasebook) -> None:
    assert translations(small, "A man saw a dog tonight.") == {
        "一个男人今晚看见了一只狗。",
        "今晚一个男人看见了一只狗。",
        "一个男人今天晚上看见了一只狗。",
        "今天晚上一个男人看见了一只狗。",
    }


@pytest.mark.parametrize(
    "source",
    [
        "I see me.",
        "We see me.",
        "The man saw the man.",
        "Let us see the dog that we follow!",
        "The bat that I see followed us.",
    ],
)
def test_words_that_exclude_each_other_do_not_make_a_sentence(source: str, small: Phrasebook) -> None:
    assert translations(small, source) == set()
    assert list(parser(small.deepest, "en").parse(source)) == []


def test_the_first_capital_and_the_article_are_read_as_english_spells_them(small: Phrasebook) -> None:
    assert translations(small, "An old man saw an actor.") == {"一个老男人看见了一位演员。"}
    assert translations(small, " an old man saw an actor.\n") == {"一个老男人看见了一位演员。"}
    assert translations(small, "An old Man saw an actor.") == set()


@pytest.mark.parametrize(
    "text", ["", " ", ".", "I", "I see", "I see you", "I see you..", "I see you. I see you.", "看见", "\0", "I see ☃."]
)
def test_what_is_no_sentence_has_no_translation(text: str, small: Phrasebook) -> None:
    for side in ("en", "zh"):
        assert parser(small.deepest, side).translations(text) == frozenset()
        assert list(parser(small.deepest, side).parse(text)) == []
        assert parser(small.deepest, side).nearest(text, ()) is None


def test_the_nearest_derivation_has_the_preferred_senses(small: Phrasebook) -> None:
    english = parser(small.deepest, "en")
    for chinese in ("蝙蝠", "球棒"):
        preferred = {id(sense) for sense in small.senses if sense.chinese == chinese}
        found = english.nearest("The man saw the old bat.", preferred)
        assert found is not None
        assert chinese in {sense.chinese for sense in senses(found)}


def test_the_nearest_derivation_may_repeat_a_sense(small: Phrasebook) -> None:
    found = parser(small.deepest, "zh").nearest("那个男人看见了那个男人。", ())
    assert found is not None
    assert repeats(found)


# --- The real tasks


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("longer", [False, True])
def test_a_drawn_pair_is_found_again(longer: bool, task: str) -> None:
    phrasebook = load(task)
    generator = random.Random(7)
    node, longest = (phrasebook.deepest, phrasebook.longest_of_all) if longer else (phrasebook.grammar.root, phrasebook.longest)
    drawn = [pair for _ in range(SAMPLE) if (pair := phrasebook.draw(generator, node, 1, longest)) is not None]
    assert len(drawn) > SAMPLE / 2
    for pair in drawn:
        found = {outputs(each)["zh"] for each in parser(phrasebook.deepest, "en").parse(pair.source)}
        assert pair.target in found
        assert translations(phrasebook, pair.source) == found
        read = {phrasebook.read(each).source for each in parser(phrasebook.deepest, "zh").parse(pair.target)}
        assert pair.source in read
