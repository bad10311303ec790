"""The words of a Chinese sentence, for its diagnosis: what derivations write, and how any text is cut into known words."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from translab.corpora.phrasebook.derivations import Derivation, marked
from translab.corpora.phrasebook.english import MARK
from translab.corpora.phrasebook.grammar import Node
from translab.corpora.phrasebook.lexicon import Sense

CLASSIFIERS = ("classifier", "measure")
"""The fields of words that stand between a number and a noun."""
COSTS = {"word": 1, "classifier": 1, "function": 1, "unknown": 3}
"""Of a word into which a text is cut and which is not expected."""


class Word(NamedTuple):
    """A word of a Chinese sentence; its role is `word` (a sense's), `classifier`, `function` (one character) or `unknown`."""

    text: str
    role: str
    sense: Sense | None = None


class ChineseWords:
    """The Chinese words of a node's sentences, with the senses that they may be."""

    def __init__(self, root: Node) -> None:
        self._forms: dict[int, set[str]] = {}
        self._senses: dict[str, list[Sense]] = {}
        self._classifiers: set[str] = set()
        self._functions: set[str] = set()
        seen = {root}
        stack = [root]
        while stack:
            for alternative in stack.pop().alternatives:
                if isinstance(origin := alternative.origin, Sense):
                    self._forms.setdefault(id(origin), set()).add(alternative.words["en"])
                    found = self._senses.setdefault(alternative.words["zh"], [])
                    if origin not in found:
                        found.append(origin)
                    self._classifiers |= {alternative.words[key] for key in CLASSIFIERS if key in alternative.words}
                pieces = dict(alternative.outputs).get("zh", ())
                self._functions.update(*[piece for piece in pieces if isinstance(piece, str)])
                new = [child for child in alternative.children if child not in seen]
                seen.update(new)
                stack += new
        self._longest = max(map(len, self._senses))

    def written(self, derivation: Derivation) -> list[Word]:
        """The words that a derivation writes; a rule's are cut into characters."""
        text, leaves = marked(derivation, "zh")
        start, *rest = text.split(MARK)
        words = [Word(character, "function") for character in start]
        for (leaf, key), piece in zip(leaves, rest, strict=True):
            word = leaf.alternative.words[key]
            origin = leaf.alternative.origin
            assert isinstance(origin, Sense)
            words.append(Word(word, "classifier") if key in CLASSIFIERS else Word(word, "word", origin))
            words += [Word(character, "function") for character in piece[len(word) :]]
        return words

    def share_english(self, sense: Sense, other: Sense) -> bool:
        """Whether a form of a sense has the Chinese word of another sense as one of its translations."""
        senses = [each for variant in other.variants for each in (other, *self._senses.get(variant, ()))]
        return any(self._forms[id(sense)] & self._forms[id(each)] for each in senses)

    def segmented(self, expected: list[Word], text: str) -> list[Word]:
        """A text cut into words: into those that are expected as far as possible, and into few."""
        certain = [word for word in expected if word.role != "function" or word.text not in self._classifiers]
        known = {word.text: word for word in certain}
        forms = set().union(*(self._forms[id(word.sense)] for word in expected if word.sense is not None))
        longest = max([self._longest, *map(len, known)])
        best: list[tuple[int, int, Word | None]] = [(0, 0, None)]
        for end in range(1, len(text) + 1):
            choices = []
            for start in range(max(0, end - longest), end):
                word = known.get(text[start:end])
                cost = 0
                if word is None and (word := self._word(text[start:end], forms)) is not None:
                    cost = COSTS[word.role]
                if word is not None:
                    choices.append((best[start][0] + cost, best[start][1] + 1, word))
            best.append(min(choices, key=lambda choice: choice[:2]))
        words = []
        end = len(text)
        while end:
            word = best[end][2]
            assert word is not None
            words.append(word)
            end -= len(word.text)
        return words[::-1]

    def _word(self, text: str, forms: set[str]) -> Word | None:
        """What a text is, if it is one word: preferably a classifier, or a sense with one of these English forms."""
        if text in self._classifiers:
            return Word(text, "classifier")
        if found := self._senses.get(text):
            return Word(text, "word", next((sense for sense in found if self._forms[id(sense)] & forms), found[0]))
        if len(text) > 1:
            return None
        return Word(text, "function" if text in self._functions else "unknown")


@cache
def chinese_words(root: Node) -> ChineseWords:
    """The words of a node's sentences, collected once in a process."""
    return ChineseWords(root)
