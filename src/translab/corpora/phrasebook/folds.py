"""Two folds of the sentences with a form, so that no content word and no template is in both.

Words that decide for a sense are dealt out by how often they do, so that either fold has some of each sense's; the others at
random, half of each word class. A *template* is the set of a sentence's constructions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from translab.corpora.phrasebook.book import Phrasebook
from translab.corpora.phrasebook.derivations import written_forms
from translab.corpora.phrasebook.lexicon import Sense

FOLDS = (0, 1)
GRAMMATICAL = (
    "Pronoun", "Anaphor", "Name", "Number", "Teen", "Tens", "Ordinal", "Hour", "Month", "Weekday", "Time", "Frequency",
    "Degree", "Modal",
)  # fmt: skip
"""Word classes that fit any sense beside them; both folds have them. All others are content words."""
Template = frozenset[str]
Clues = list[tuple[int, int]]
"""The words (by number) that decide for a sense, with how often, most often first."""


def content_words(phrasebook: Phrasebook) -> list[list[Sense]]:
    """The content words, each with its senses; senses that share a written form (feed, fed) are one word."""
    words: dict[int, list[Sense]] = {}
    for _, senses in sorted(written_forms(phrasebook.grammar.root).items()):
        members = [each for each in senses if each.word_class not in GRAMMATICAL]
        joined = {id(each): each for same in members for each in words.get(id(same), [same])}
        words |= {key: list(joined.values()) for key in joined}
    return [word for each in phrasebook.senses if (word := words.get(id(each))) is not None and word[0] is each]


def deal_words(words: list[list[Sense]], clues: Sequence[Clues], generator: random.Random) -> dict[int, int]:
    """The fold of every sense (by its `id`) of a content word.

    Args:
        words: of `content_words`.
        clues: of each sense of a form.
        generator: deals out the words that decide for none, half of each word class to either fold.
    """
    folds: dict[int, int] = {}
    for counts in clues:
        load = [0, 0]
        for word, count in counts:
            load[folds.setdefault(word, int(load[0] > load[1]))] += count
    alike: dict[str, list[int]] = {}
    for number, senses in enumerate(words):
        if number not in folds:
            alike.setdefault(senses[0].word_class, []).append(number)
    for same in alike.values():
        generator.shuffle(same)
        folds |= {number: place % 2 for place, number in enumerate(same)}
    return {id(each): folds[number] for number, senses in enumerate(words) for each in senses}


def deal_templates(pools: Sequence[tuple[int, list[Template]]], wanted: int) -> dict[Template, int]:
    """The fold of every template, the most frequent first: where it brings those more of what they lack which have least.

    Args:
        pools: of each sense in each fold, the fold and the templates of its sentences.
        wanted: how many sentences each of them needs.
    """
    counts = [Counter(templates) for _, templates in pools]
    totals = sum(counts, Counter[Template]())
    kept = [0] * len(pools)
    owners: dict[Template, int] = {}
    for template in sorted(totals, key=lambda each: (-totals[each], sorted(each))):
        gains = dict.fromkeys(FOLDS, 0.0)
        for number, (fold, templates) in enumerate(pools):
            gains[fold] += min(counts[number][template], max(wanted - kept[number], 0)) / max(len(templates), 1)
        owners[template] = max(FOLDS, key=gains.__getitem__)
        for number, (fold, _) in enumerate(pools):
            kept[number] += counts[number][template] * (fold == owners[template])
    return owners
