"""What nouns are about: sentences with the topic of their only topical noun, and the classes of single words.

A *topic* is a group of semantic classes. Each sentence has one noun of one topic and none of any other, so its label is what
that noun means. The nouns of a topic are dealt out to the two parts: what is tested are words that the classifier was not
shown, which only a representation that knows them already, or the words around them, can place.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from translab.corpora.phrasebook.book import PATIENCE, Phrasebook
from translab.corpora.phrasebook.conditional import Condition, Conditional
from translab.corpora.phrasebook.derivations import written_forms
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.reading import PhrasebookError
from translab.corpora.phrasebook.senses import fitting
from translab.corpora.splitting import normalised

TOPICS = {
    "animals": ("animal", "creature"),
    "clothes": ("clothes", "hat"),
    "food": ("food", "drink", "broth"),
    "home": ("furniture", "seat", "bedding", "appliance", "cabinet", "device", "switch"),
    "music": ("song", "musical", "keyed", "bowed", "blown"),
    "nature": ("scenery", "plant", "vegetation", "waterway", "height"),
    "reading": ("text", "expression"),
    "traffic": ("vehicle", "engine", "transport"),
}
"""Each topic and the semantic classes that belong to it, with all below them."""
PARTS = {"train": 2, "test": 1}
"""The parts, and their shares of the words and of the sentences."""
FEWEST = 6
"""Words of a topic without which a task does not have it."""
MOVING = "Transport"
"""The word class of `by bus`, which is about traffic beside any noun, and so does not occur."""
WORDS = {
    **TOPICS,
    "people": ("person",),
    "school": ("subject", "language", "exercise"),
    "cities": ("city",),
}
"""Groups of nouns for `word_classes`."""
WORD_CLASSES = {
    "names": ("Name",),
    "colours": ("Colour",),
    "numbers": ("Number", "Teen", "Tens", "Hour"),
    "months": ("Month",),
    "weekdays": ("Weekday",),
    "ordinals": ("Ordinal",),
    "verbs": ("Intransitive", "Lasting", "Transitive", "Disposal", "Giving", "Motion", "Stative", "Ability", "Deed", "Toward"),
    "adjectives": ("Adjective", "State", "Climate"),
}
"""Groups of words of a word class for `word_classes`."""


class Labelled(NamedTuple):
    """A sentence and what it is about; `part` is `train` or `test`."""

    source: str
    label: str
    part: str


def topic_sentences(phrasebook: Phrasebook, wanted: int, seed: int, taken: set[str]) -> Iterator[Labelled]:
    """Sentences of every topic that a task has, as many of each as of another but for one.

    Args:
        phrasebook: of a task.
        wanted: sentences of all topics and both parts; a multiple of three, two thirds are for training.
        seed: the same seed gives the same sentences in the same order.
        taken: normalised sentences that are in use; those found are added.

    Raises:
        PhrasebookError: the task has fewer than two topics, or there are not as many sentences.
    """
    generator = random.Random(f"{phrasebook.task} topics {seed}")
    members = {label: _words(phrasebook, label) for label in TOPICS}
    members = {label: words for label, words in members.items() if len(words) >= FEWEST}
    if len(members) < 2:
        raise PhrasebookError(
            f"task {phrasebook.task} has fewer than two topics of {FEWEST} words; ask for no topic sentences."
        )
    cells, conditions = [], []
    for label, words in members.items():
        generator.shuffle(words)
        first = len(words) * PARTS["train"] // sum(PARTS.values())
        for part, own in (("train", words[:first]), ("test", words[first:])):
            cells.append((label, part))
            conditions.append(Condition({id(each) for word in own for each in word}, _barred(phrasebook, own)))
    grammar = Conditional(phrasebook.grammar.root, conditions)
    for number, (label, part) in enumerate(cells):
        place = list(members).index(label)
        share = wanted * PARTS[part] // sum(PARTS.values())
        count = share // len(members) + (place < share % len(members))
        yield from (Labelled(source, label, part) for source in _draw(phrasebook, grammar, number, count, generator, taken))


def word_classes(phrasebook: Phrasebook) -> list[tuple[str, str]]:
    """Single English words, each with the one class that it can have, in alphabetical order.

    A word that is also a form of a word of another class (saw), or that rules write themselves, is left out.
    """
    forms = written_forms(phrasebook.grammar.root)
    classes = {written: {_class(phrasebook, each) for each in senses} for written, senses in forms.items()}
    literal = [piece for rule in phrasebook.rules for piece in rule.outputs["en"] if isinstance(piece, str)]
    functional = {token for piece in literal for token in piece.split()}
    bases = {each.english for each in phrasebook.senses if " " not in each.english}
    return sorted(
        (word, only)
        for word in bases - functional
        if len(found := classes.get(word, set())) == 1 and (only := next(iter(found))) is not None
    )


def _class(phrasebook: Phrasebook, sense: Sense) -> str | None:
    """The only class of a sense; none, if it has none or several, or is one of two that share a form."""
    above = {name for each in sense.features.get("class", ()) for name in phrasebook.definitions.classes[each]}
    found = [label for label, names in WORDS.items() if above & set(names)]
    found += [label for label, names in WORD_CLASSES.items() if sense.word_class in names]
    homonym = sense.features.get("homonym", ("none",)) != ("none",)
    return found[0] if len(found) == 1 and not homonym else None


def _words(phrasebook: Phrasebook, label: str) -> list[list[Sense]]:
    """The words of a topic, each with its senses: single words (a desk lamp would show the desk) that mean nothing else."""
    words: dict[str, list[Sense]] = {}
    for each in phrasebook.senses:
        words.setdefault(each.english.removeprefix("the "), []).append(each)
    return [
        senses
        for word, senses in words.items()
        if " " not in word and all(_class(phrasebook, each) == label for each in senses)
    ]


def _of(phrasebook: Phrasebook, sense: Sense, classes: Sequence[str]) -> bool:
    return any(name in phrasebook.definitions.classes[each] for each in sense.features.get("class", ()) for name in classes)


def _barred(phrasebook: Phrasebook, own: list[list[Sense]]) -> set[int]:
    """What a sentence about some words does not have: any other topical noun, and means of transport."""
    topical = [name for names in TOPICS.values() for name in names]
    mine = {id(each) for word in own for each in word}
    return {
        id(each)
        for each in phrasebook.senses
        if id(each) not in mine and (each.word_class == MOVING or _of(phrasebook, each, topical))
    }


def _draw(
    phrasebook: Phrasebook, grammar: Conditional, number: int, wanted: int, generator: random.Random, taken: set[str]
) -> Iterator[str]:
    found = misses = 0
    while found < wanted:
        drawn = fitting(phrasebook, grammar.draw(generator, number)) if grammar.probability(number) else None
        if drawn is not None and (key := normalised(drawn.source)) not in taken:
            taken.add(key)
            found, misses = found + 1, 0
            yield drawn.source
        elif (misses := misses + 1) > PATIENCE:
            raise PhrasebookError(f"too few sentences of a topic of task {phrasebook.task} could be found; ask for fewer.")
