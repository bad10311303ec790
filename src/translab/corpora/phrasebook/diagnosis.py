"""Diagnosis: what is wrong with a translation.

An output that is no translation of its source is parsed with the Chinese side of the grammar, its derivation being the one
nearest to the source's, and the two derivations are compared. An output that is not grammatical is compared, word by word, with
the translation nearest to it; only a fault of a single kind is named then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from difflib import SequenceMatcher
from itertools import takewhile
from typing import TypeVar

from translab.corpora.phrasebook.book import Phrasebook
from translab.corpora.phrasebook.derivations import Derivation, senses, walk
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.parsing import parser
from translab.corpora.phrasebook.reading import PhrasebookError
from translab.corpora.phrasebook.structure import is_exchanged
from translab.corpora.phrasebook.words import ChineseWords, Word, chinese_words

ACCEPTED = "accepted"
KINDS = {
    "number": "a number, or a word that is written with one, has another value; the rest is right",
    "classifier": "a classifier is wrong, missing or too many; the rest is right",
    "sense": "a word has another of the translations that its English form can have",
    "word": "a word is translated by another word",
    "dropped": "a word is not translated",
    "added": "there is a word that the source does not have",
    "negation": "a negation (不, 没, 别) is wrong, missing or too many; the content words are right",
    "function": "a function word or an aspect (那, 会, 了, 吗) is wrong, missing or too many; the content words are right",
    "order": "the right words in the wrong order, in the structure of the source or in none",
    "attachment": "the right words in another structure: a word belongs to another phrase than in the source",
    "ungrammatical": "no sentence of the grammar, and not one of the other kinds alone",
}
"""What can be wrong with an output, and what that means."""

NUMERALS = re.compile("[零一二两三四五六七八九十百千万]+")
NEGATIONS = re.compile("[不没别]")
Thing = TypeVar("Thing")


def diagnose(phrasebook: Phrasebook, source: str, output: str) -> str:
    """`accepted` if the output is a translation of the source, else one of `KINDS`.

    Args:
        phrasebook: the task.
        source: an English sentence of the task.
        output: any text.

    Raises:
        PhrasebookError: the source is no sentence of the task.
    """
    output = output.strip()
    translated = parser(phrasebook.deepest, "en").translated(source)
    if not translated:
        raise PhrasebookError(f"`{source}` is no sentence of task {phrasebook.task}; check its words and its full stop.")
    if output in translated:
        return ACCEPTED
    expected = min(translated, key=lambda each: (_distance(each, output), each))
    if NUMERALS.sub("0", expected) == NUMERALS.sub("0", output):
        return "number"
    if NEGATIONS.sub("", expected) == NEGATIONS.sub("", output):
        return "negation"
    derivation = translated[expected]
    vocabulary = chinese_words(phrasebook.deepest)
    found = parser(phrasebook.deepest, "zh").nearest(output, {id(each.alternative.origin) for each in walk(derivation)})
    words = vocabulary.written(derivation)
    surface = _align(vocabulary, words, vocabulary.segmented(words, output))
    # Words that are only left out or put in say more than another reading of the rest, in which further words differ.
    if found is None or (surface in ("dropped", "added") and _replaces(derivation, found)):
        return surface
    return _compare(vocabulary, derivation, found)


def _replaces(expected: Derivation, found: Derivation) -> bool:
    """Whether some senses stand in the place of others."""
    return all(_difference(senses(expected), senses(found), id))


def _compare(vocabulary: ChineseWords, expected: Derivation, found: Derivation) -> str:
    """How a grammatical output differs, by its derivation."""
    missing, extra = _difference(senses(expected), senses(found), id)
    if missing or extra:
        return _replacement(vocabulary, missing, extra)
    lost, gained = _difference(vocabulary.written(expected), vocabulary.written(found), lambda word: (word.text, word.role))
    if lost or gained:
        return _function([*lost, *gained])
    return "order" if is_exchanged(expected, found) else "attachment"


def _align(vocabulary: ChineseWords, expected: list[Word], found: list[Word]) -> str:
    """How an output that is not grammatical differs, by its words."""
    texts, others = [word.text for word in expected], [word.text for word in found]
    if Counter(texts) == Counter(others):
        return "order"
    changes = [change for change in SequenceMatcher(None, texts, others, autojunk=False).get_opcodes() if change[0] != "equal"]
    lost = [word for _, start, end, _, _ in changes for word in expected[start:end] if word.role != "classifier"]
    gained = [word for _, _, _, start, end in changes for word in found[start:end] if word.role != "classifier"]
    moved = {(word.text, word.role) for word in lost} & {(word.text, word.role) for word in gained}
    if moved or any(word.role == "unknown" for word in gained):
        return "ungrammatical"
    if not lost and not gained:
        return "classifier"
    missing, extra = _difference(_senses(lost), _senses(gained), id)
    if not missing and not extra:
        return _function([*lost, *gained])
    if not lost or not gained or len(lost) == len(gained) == 1:
        return _replacement(vocabulary, missing, extra)
    return "ungrammatical"


def _senses(words: Iterable[Word]) -> list[Sense]:
    return [word.sense for word in words if word.sense is not None]


def _replacement(vocabulary: ChineseWords, missing: list[Sense], extra: list[Sense]) -> str:
    """What it is called when some senses stand in the place of others."""
    if len(missing) != len(extra):
        return "dropped" if len(missing) > len(extra) else "added"
    rest = list(missing)
    for sense in extra:
        same = [each for each in rest if vocabulary.share_english(each, sense)]
        if not same:
            return "word"
        rest.remove(same[0])
    return "sense"


def _function(words: Iterable[Word]) -> str:
    return "negation" if any(word.sense is None and NEGATIONS.match(word.text) for word in words) else "function"


def _distance(one: str, other: str) -> tuple[int, int]:
    """How many characters must be exchanged, then how many do not lie at a common start or end."""
    shared = sum((Counter(one) & Counter(other)).values())
    framed = _shared_start(one, other) + _shared_start(one[::-1], other[::-1])
    return len(one) + len(other) - 2 * shared, -framed


def _shared_start(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _difference(
    first: Iterable[Thing], second: Iterable[Thing], key: Callable[[Thing], Hashable]
) -> tuple[list[Thing], list[Thing]]:
    """What only the first has, and what only the second has, as often as it has it."""
    return _without(first, second, key), _without(second, first, key)


def _without(things: Iterable[Thing], others: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[Thing]:
    rest = Counter(map(key, others))
    left = []
    for thing in things:
        if rest[key(thing)]:
            rest[key(thing)] -= 1
        else:
            left.append(thing)
    return left
