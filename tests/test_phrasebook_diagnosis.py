"""The diagnosis of a translation: each kind of fault is named, alone and when a drawn translation is damaged on purpose."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from small_grammar import all_derivations, small_phrasebook
from translab.corpora.phrasebook import Phrasebook, PhrasebookError, load
from translab.corpora.phrasebook.derivations import Derivation, outputs
from translab.corpora.phrasebook.diagnosis import KINDS, diagnose
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.parsing import parser
from translab.corpora.phrasebook.tags import Drawn
from translab.corpora.phrasebook.words import Word, chinese_words

CASES = [
    ("The man saw the dog.", "那个男人看见了那只狗。", "accepted"),
    ("The man saw the dog.", " 那个男人看见了那只狗。\n", "accepted"),
    ("The man saw the bat.", "那个男人看见了那只蝙蝠。", "accepted"),
    ("The man saw the bat.", "那个男人看见了那根球棒。", "accepted"),
    ("The man saw a dog tonight.", "今天晚上那个男人看见了一只狗。", "accepted"),
    # number
    ("The man saw two dogs.", "那个男人看见了三只狗。", "number"),
    ("The man saw a dog.", "那个男人看见了两只狗。", "number"),
    # classifier: wrong, missing, too many, of one word or of several
    ("The man saw two dogs.", "那个男人看见了两位狗。", "classifier"),
    ("The man saw two dogs.", "那根男人看见了两位狗。", "classifier"),
    ("The man saw two dogs.", "那个男人看见了两狗。", "classifier"),
    ("The man saw two dogs.", "那个男人看见了两只个狗。", "classifier"),
    ("The man saw two dogs.", "那根男人看见了两只狗。", "classifier"),
    ("See a cup of tea!", "看见一个茶！", "classifier"),
    # sense: in a sentence of the grammar, and in none
    ("The man followed the bat.", "那个男人跟踪了那根球棒。", "sense"),
    ("The man followed the bat.", "那个男人跟踪了那只球棒。", "sense"),
    # word
    ("The man saw the old dog.", "那个男人看见了那只小狗。", "word"),
    ("The man saw the old dog.", "那个男人看见了那只老蝙蝠。", "word"),
    ("The man saw the old dog.", "那个男人跟踪了那位小演员。", "word"),
    ("The man followed the dog.", "那个男人跟踪了那只茶。", "word"),
    # dropped
    ("The man saw the dog yesterday.", "那个男人看见了那只狗。", "dropped"),
    ("The old man saw the small dog.", "那个老男人看见了。", "dropped"),
    ("The man saw the dog.", "", "dropped"),
    # added
    ("The man saw the dog.", "那个男人昨天看见了那只狗。", "added"),
    ("The man saw the dog.", "那个男人看见了那只狗狗。", "added"),
    ("The man saw the dog.", "那个男人看见了那只狗。那个男人看见了那只狗。", "added"),
    # negation
    ("The man saw the dog.", "那个男人没看见那只狗。", "negation"),
    ("The man did not see the dog.", "那个男人看见了那只狗。", "negation"),
    ("The man did not see the dog.", "那个男人看见那只狗。", "negation"),
    ("The man did not see the dog.", "那个男人不看见那只狗。", "negation"),
    ("I should not see tea.", "我应该看见茶。", "negation"),
    # function
    ("The man saw the dog.", "那个男人看见了一只狗。", "function"),
    ("The man saw the dog.", "那个男人看见那只狗。", "function"),
    ("Let us see a dog!", "我们看见一只狗！", "function"),
    ("The man that I follow saw a dog.", "我跟踪那个男人看见了一只狗。", "function"),
    # order: of roles that are pronouns, nouns, whole phrases; of a sentence that is none
    ("I see you.", "你看见我。", "order"),
    ("The man saw the actor.", "那位演员看见了那个男人。", "order"),
    ("The old man saw two actors.", "两位演员看见了那个老男人。", "order"),
    ("The man that I follow saw the old actor.", "那位老演员看见了我跟踪的那个男人。", "order"),
    ("The man that I follow saw the actor.", "我跟踪的那位演员看见了那个男人。", "order"),
    ("Yesterday the man saw tea.", "那个男人昨天看见了茶。", "order"),
    ("The man saw the dog yesterday.", "那个男人看见了那只狗昨天。", "order"),
    # attachment: an adjective, a relative clause
    ("The old man saw the actor.", "那个男人看见了那位老演员。", "attachment"),
    ("The man that I follow saw the actor.", "那个男人看见了我跟踪的那位演员。", "attachment"),
    # ungrammatical
    ("The man saw the dog.", "老了看见小那狗吧", "ungrammatical"),
    ("The man saw the dog.", "the dog", "ungrammatical"),
    ("The man saw the dog.", "那 个 男 人 看 见 了 那 只 狗 。", "ungrammatical"),
    ("The man saw the dog yesterday.", "那只狗看见了昨天那根男人。", "ungrammatical"),
    ("The man followed the dog.", "那个演员跟踪了那只茶。", "ungrammatical"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Phrasebook:
    return small_phrasebook(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize(("source", "output", "kind"), CASES)
def test_each_fault_has_its_name(source: str, output: str, kind: str, small: Phrasebook) -> None:
    assert diagnose(small, source, output) == kind


def test_every_kind_has_a_case_and_a_meaning() -> None:
    assert {kind for _, _, kind in CASES} == {"accepted", *KINDS}
    assert all(meaning and "\n" not in meaning for meaning in KINDS.values())


def test_a_source_that_is_no_sentence_of_the_task_is_refused(small: Phrasebook) -> None:
    with pytest.raises(PhrasebookError) as error:
        diagnose(small, "The man saw the cat.", "那个男人看见了那只猫。")
    assert str(error.value) == "`The man saw the cat.` is no sentence of task small; check its words and its full stop."


def test_any_text_is_diagnosed(small: Phrasebook) -> None:
    """Random texts of the grammar's characters and of others, some of them long."""
    generator = random.Random(3)
    characters = "那个男人看见了只狗老没一两位。！的昨天abc .\n\0☃𠀀"
    known = {"accepted", *KINDS}
    for length in [*range(40), 400, 4_000]:
        text = "".join(generator.choices(characters, k=length))
        assert diagnose(small, "The man saw the dog.", text) in known
        assert diagnose(small, "The man saw the dog.", "那个男人看见了" * length) in known


def test_every_translation_is_accepted_and_no_other_sentence_of_the_grammar(small: Phrasebook) -> None:
    generator = random.Random(4)
    drawn = generator.sample([small.read(derivation) for derivation in all_derivations(small.deepest)], 300)
    for pair, other in pairwise(drawn):
        assert diagnose(small, pair.source, pair.target) == "accepted"
        accepted = other.target in parser(small.deepest, "en").translations(pair.source)
        assert (diagnose(small, pair.source, other.target) == "accepted") == accepted


# --- The real tasks: translations that are damaged on purpose


def damaged(phrasebook: Phrasebook, drawn: Drawn, generator: random.Random) -> Iterator[tuple[str, str]]:
    """Kinds of faults, each with the pair's target damaged so."""
    vocabulary = chinese_words(phrasebook.deepest)
    words = vocabulary.written(drawn.derivation)

    def without(place: int) -> str:
        return "".join([word.text for number, word in enumerate(words) if number != place])

    def replaced(place: int, text: str) -> str:
        return "".join([text if number == place else word.text for number, word in enumerate(words)])

    def of_class(*names: str) -> list[tuple[int, Word, Sense]]:
        found = [(place, word, word.sense) for place, word in enumerate(words) if word.sense is not None]
        return [each for each in found if each[2].word_class in names and each[1].text in each[2].variants]

    for place, word in enumerate(words):
        if word.role == "classifier":
            yield "classifier", replaced(place, "个" if word.text != "个" else "本")
        if word.role == "function" and word.text in "不没":
            yield "negation", without(place)
    for place, _, _ in of_class("Time", "Frequency", "Degree", "Adjective", "Colour"):
        yield "dropped", without(place)
    for place, _, sense in of_class("Noun"):
        others = [other for other in phrasebook.senses if other.word_class == "Noun" and other.variants != sense.variants]
        twins = [other for other in others if other.english == sense.english]
        if twins:
            yield "sense", replaced(place, generator.choice(twins).chinese)
        strangers = [other for other in others if not vocabulary.share_english(sense, other)]
        yield "word", replaced(place, generator.choice(strangers).chinese)
        yield "added", replaced(place, generator.choice(strangers).chinese + sense.chinese)
    phrases = [each for each in parts(drawn.derivation, ()) if symbol(each[1]) == "NP"]
    for place, first in phrases:
        for other, second in phrases:
            if place < other and other[: len(place)] != place:
                yield "order", outputs(put(put(drawn.derivation, place, second), other, first))["zh"]


def parts(derivation: Derivation, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Derivation]]:
    yield place, derivation
    for number, child in enumerate(derivation.children):
        yield from parts(child, (*place, number))


def symbol(derivation: Derivation) -> str:
    origin = derivation.alternative.origin
    return origin.word_class if isinstance(origin, Sense) else origin.head.symbol


def put(derivation: Derivation, place: tuple[int, ...], part: Derivation) -> Derivation:
    if not place:
        return part
    children = list(derivation.children)
    children[place[0]] = put(children[place[0]], place[1:], part)
    return Derivation(derivation.alternative, tuple(children))


@pytest.mark.parametrize("task", ["everyday", "travel"])
def test_damage_is_named(task: str) -> None:
    """Of 150 draws; a damaged translation that happens to be a translation is left out.

    Of 800 pairs of both tasks, 98.5 % or more of each kind of damage were named as it: the rest has another reading.
    """
    phrasebook = load(task)
    generator = random.Random(11)
    named: dict[str, Counter[str]] = {}
    for _ in range(150):
        drawn = phrasebook.draw(generator, phrasebook.grammar.root, phrasebook.shortest, phrasebook.longest)
        if drawn is None:
            continue
        assert diagnose(phrasebook, drawn.source, drawn.target) == "accepted"
        right = parser(phrasebook.deepest, "en").translations(drawn.source)
        for kind, text in damaged(phrasebook, drawn, generator):
            if text not in right:
                named.setdefault(kind, Counter())[diagnose(phrasebook, drawn.source, text)] += 1
    assert named.keys() == {"classifier", "negation", "dropped", "sense", "word", "added", "order"}
    for kind, found in named.items():
        assert found[kind] > 0.95 * found.total(), (kind, found)
