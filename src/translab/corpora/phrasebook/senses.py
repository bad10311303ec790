"""Occurrences of English forms with two senses, in two folds that share neither the words nor the templates around them.

Whether a model tells senses apart is asked of two occurrences (as in Pilehvar and Camacho-Collados, 2019, WiC: the
word-in-context dataset), here one from either fold: a sense must not be recognised by what both sentences have besides it.

An occurrence is *decided*: a word that it depends on goes with this sense and not with the form's other one (who fed a bat
fed no club). A form is left out if one word alone decides for one of its senses, as `match` does for `lost` (输), for two folds
need two. Held-out combinations and sentences longer than training's do not occur: other tests ask for these, this one for
senses.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from translab.corpora.phrasebook.book import Phrasebook
from translab.corpora.phrasebook.conditional import Condition, Conditional
from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.derivations import Derivation, constructions, dependents, repeats, sense, walk
from translab.corpora.phrasebook.english import PUNCTUATION
from translab.corpora.phrasebook.folds import FOLDS, Clues, Template, content_words, deal_templates, deal_words
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.reading import PhrasebookError
from translab.corpora.phrasebook.tags import Drawn, write_tag
from translab.corpora.splitting import normalised

TRIALS = 40
"""Decided occurrences of a sense by which its deciding words are found."""
FEWEST = 20
"""Occurrences that are drawn at least."""
MISSES = 2_000
"""Draws in a row without a new occurrence after which no more are expected."""
POOLS = (2, 6, 18)
"""Times as many occurrences are drawn as are wanted, so that templates can be dealt out; more, where they do not suffice."""


class Occurrence(NamedTuple):
    """A form in a sentence: `source[start:end]` is the word as it is written there, inflected or with a capital."""

    form: str
    sense: str
    source: str
    start: int
    end: int
    fold: int
    tag: str


class Cell(NamedTuple):
    """A sense of a form in a fold, beside the form's other sense."""

    sense: Sense
    other: Sense
    fold: int


class Found(NamedTuple):
    """A decided occurrence, the words that decide, and its template."""

    drawn: Drawn
    start: int
    end: int
    clues: list[Sense]
    template: Template


def occurrences(phrasebook: Phrasebook, wanted: int, seed: int, taken: set[str]) -> Iterator[Occurrence]:
    """Occurrences of every form that has two senses, form by form.

    Args:
        phrasebook: of a task.
        wanted: occurrences of each sense, an even number; half of them are in either fold.
        seed: the same seed gives the same occurrences in the same order.
        taken: normalised sentences that are in use; those of the occurrences are added.

    Raises:
        PhrasebookError: there are not as many occurrences of a sense.
    """
    words = content_words(phrasebook)
    clues = _clues(phrasebook, words, seed)
    forms = [both for both in homonyms(phrasebook) if all(len(clues[id(each)]) > 1 for each in both)]
    cells, conditions = [], []
    for both in forms:
        generator = random.Random(f"{phrasebook.task} folds {both[0].english} {seed}")
        folds = deal_words(words, [clues[id(each)] for each in both], generator)
        own = {id(each) for each in phrasebook.senses if each.english == both[0].english}
        for fold in FOLDS:
            apart = own | {each for each, other in folds.items() if other != fold}
            cells += [Cell(both[0], both[1], fold), Cell(both[1], both[0], fold)]
            conditions += [Condition({id(each)}, apart) for each in both]
    finder = Finder(phrasebook, cells, conditions)
    for first in range(0, len(cells), 4):
        four = range(first, first + 4)
        generator = random.Random(f"{phrasebook.task} senses {cells[first].sense.english} {seed}")
        for times in POOLS:
            pools = [finder.find(number, times * max(wanted // 2, FEWEST), generator, taken) for number in four]
            dealt = [(cells[number].fold, [found.template for found in pool]) for number, pool in zip(four, pools, strict=True)]
            owners = deal_templates(dealt, wanted // 2)
            kept = [
                [found for found in pool if owners[found.template] == fold]
                for pool, (fold, _) in zip(pools, dealt, strict=True)
            ]
            if min(map(len, kept)) >= wanted // 2:
                break
        for number, founds in zip(four, kept, strict=True):
            if len(founds) < wanted // 2:
                raise PhrasebookError(
                    f"{wanted} occurrences of {cells[number].sense.name} of task {phrasebook.task} were asked for, but only "
                    f"{len(founds)} of {wanted // 2} could be found for fold {cells[number].fold}; ask for fewer."
                )
            yield from (_occurrence(cells[number], found) for found in founds[: wanted // 2])
            taken |= {normalised(found.drawn.source) for found in founds[: wanted // 2]}


def homonyms(phrasebook: Phrasebook) -> list[list[Sense]]:
    """The two senses of each form whose senses name it as their `homonym`."""
    forms: dict[str, list[Sense]] = {}
    for each in phrasebook.senses:
        if each.features.get("homonym", ("none",)) != ("none",):
            forms.setdefault(each.english, []).append(each)
    return [both for both in forms.values() if len(both) == len(FOLDS)]


class Finder:
    """Finds decided occurrences of cells, each under its condition."""

    def __init__(self, phrasebook: Phrasebook, cells: list[Cell], conditions: list[Condition]) -> None:
        self._phrasebook = phrasebook
        self._cells = cells
        self._grammar = Conditional(phrasebook.grammar.root, conditions)

    def find(self, number: int, wanted: int, generator: random.Random, taken: set[str]) -> list[Found]:
        """Occurrences of a cell in sentences that are not taken; fewer than wanted, if no more are found."""
        found: dict[str, Found] = {}
        misses = 0
        while len(found) < wanted and misses < MISSES and self._grammar.probability(number):
            misses += 1
            derivation = self._grammar.draw(generator, number)
            leaf = next(each for each in walk(derivation) if each.alternative.origin is self._cells[number].sense)
            clues = self._clues(derivation, leaf, self._cells[number])
            if not clues or (drawn := fitting(self._phrasebook, derivation)) is None:
                continue
            place, key = span(drawn, leaf), normalised(drawn.source)
            if place is not None and key not in taken and key not in found:
                found[key] = Found(drawn, *place, clues, frozenset(constructions(derivation)))
                misses = 0
        return list(found.values())

    def _clues(self, derivation: Derivation, leaf: Derivation, cell: Cell) -> list[Sense]:
        """The words which a form depends on, or which depend on it, and which do not go with its other sense."""
        pairs = dependents(derivation)
        beside = [second for first, second in pairs if first is leaf] + [first for first, second in pairs if second is leaf]
        return [each for each in map(sense, beside) if _decides(self._phrasebook.definitions, each, cell)]


def fitting(phrasebook: Phrasebook, derivation: Derivation) -> Drawn | None:
    """The pair of a derivation that training might hold; none, if it repeats a sense, is too short or long, or is held out."""
    if repeats(derivation):
        return None
    drawn = phrasebook.read(derivation)
    return drawn if phrasebook.shortest <= drawn.length <= phrasebook.longest and not drawn.holds_out() else None


def span(drawn: Drawn, leaf: Derivation) -> tuple[int, int] | None:
    """From which character to which the word of a leaf stands in the sentence; nothing, unless it is there exactly once."""
    written = leaf.alternative.words["en"]
    words = drawn.source.split(" ")
    same = [number for number, word in enumerate(words) if _bare(word) == written.lower()]
    if same != [drawn.places.get(id(leaf))]:
        return None
    start = sum(len(word) + 1 for word in words[: same[0]])
    return start, start + len(written)


def _bare(word: str) -> str:
    return word.rstrip(PUNCTUATION).removesuffix("'s").lower()


def _clues(phrasebook: Phrasebook, words: list[list[Sense]], seed: int) -> dict[int, Clues]:
    """The words that decide for each sense (by its `id`) in sentences drawn for it."""
    number_of = {id(each): number for number, word in enumerate(words) for each in word}
    cells = [Cell(one, other, 0) for both in homonyms(phrasebook) for one, other in (both, both[::-1])]
    finder = Finder(phrasebook, cells, [Condition({id(cell.sense)}, {id(cell.other)}) for cell in cells])
    clues = {}
    for number, cell in enumerate(cells):
        generator = random.Random(f"{phrasebook.task} clues {cell.sense.name} {seed}")
        counts = Counter(number_of[id(each)] for found in finder.find(number, TRIALS, generator, set()) for each in found.clues)
        clues[id(cell.sense)] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return clues


def _decides(definitions: Definitions, word: Sense, cell: Cell) -> bool:
    goes, fails = (selects(definitions, word, each) or selects(definitions, each, word) for each in (cell.sense, cell.other))
    return goes and not fails


def selects(definitions: Definitions, word: Sense, other: Sense) -> bool:
    """Whether a word accepts another by its class, in any of its roles."""
    return any(
        definitions.agree(feature, offered, accepted)
        for feature, values in word.features.items()
        if definitions.features[feature].kind == "takes"
        for accepted in values
        for offered in other.features.get("class", ())
    )


def _occurrence(cell: Cell, found: Found) -> Occurrence:
    tag = write_tag(found.drawn.properties())
    return Occurrence(cell.sense.english, cell.sense.name, found.drawn.source, found.start, found.end, cell.fold, tag)
