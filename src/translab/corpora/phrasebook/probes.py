"""Probes: items in twins, scored by forced choice between two translations.

A rule for a probe's symbol writes both items of a twin: `en`, `zh`, and in `also` the other item's `twin-en` and `twin-zh`. The
wrong translation of an item is the right one of its twin, unless the rule gives a `wrong-zh` (or a `twin-wrong-zh`); `none`
stands for a probe without such a choice. What helps one item therefore misleads about the other: a model that does not see
what decides is right about one of the two, which is chance exactly.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from translab.corpora.phrasebook.book import PATIENCE, Phrasebook
from translab.corpora.phrasebook.derivations import Derivation, head, outputs, repeats
from translab.corpora.phrasebook.reading import Item
from translab.corpora.phrasebook.rules import Rule
from translab.corpora.phrasebook.tags import write_tag
from translab.corpora.splitting import normalised

NO_CHOICE = "none"
CHANCE = 0.5
"""The share of forced choices that guessing gets right."""


class Taken:
    """The sentences that a corpus holds, normalised, by side."""

    def __init__(self) -> None:
        self._sides: tuple[set[str], set[str]] = (set(), set())

    def add(self, *pairs: tuple[str, str]) -> bool:
        """Add pairs, all or none: whether no side of any of them was taken before."""
        sides = [{normalised(pair[side]) for pair in pairs} for side in range(2)]
        if any(new & old for new, old in zip(sides, self._sides, strict=True)):
            return False
        for new, old in zip(sides, self._sides, strict=True):
            old.update(new)
        return True


class Half(NamedTuple):
    """One item of a twin as its rule writes it; `words` are the places (from 0) of the English words that the rule marks."""

    source: str
    target: str
    wrong: str | None
    words: dict[str, int]
    rule: Rule


class ProbeItem(NamedTuple):
    """One item of a twin; `wrong` is the other choice, if there is one."""

    source: str
    target: str
    wrong: str | None
    tag: str
    translations: list[str]


def twins(phrasebook: Phrasebook, probe: str, generator: random.Random, taken: Taken) -> Iterator[tuple[ProbeItem, ProbeItem]]:
    """Twins of which no sentence was taken before, until no new one is found.

    Raises:
        PhrasebookError: an item is not a translation by the grammar of whole sentences.
    """
    for first, second in halves(phrasebook, probe, generator, taken):
        items = _item(phrasebook, probe, first), _item(phrasebook, probe, second)
        if not any(item.wrong in item.translations for item in items):
            yield items


def halves(phrasebook: Phrasebook, probe: str, generator: random.Random, taken: Taken) -> Iterator[tuple[Half, Half]]:
    """Twins as the probe's rules write them, not yet read by the grammar of whole sentences."""
    misses = 0
    while misses < PATIENCE:
        misses += 1
        derivation = phrasebook.grammar.draw(generator, phrasebook.probes[probe])
        if repeats(derivation):
            continue
        twin = _half(phrasebook, derivation, ""), _half(phrasebook, derivation, "twin-")
        lengths = [half.source.count(" ") + 1 for half in twin]
        fits = phrasebook.shortest <= min(lengths) and max(lengths) <= phrasebook.longest
        if fits and taken.add(*((half.source, half.target) for half in twin)):
            misses = 0
            yield twin


def _half(phrasebook: Phrasebook, derivation: Derivation, prefix: str) -> Half:
    rule = derivation.alternative.origin
    assert isinstance(rule, Rule), "a probe is a symbol, and rules make symbols"
    written = outputs(derivation)
    wrong, other = (f"{prefix}wrong-zh", "zh" if prefix else "twin-zh")
    source, places = phrasebook.write(derivation, f"{prefix}en")
    words = {}
    for label, part in rule.marks.get(f"{prefix}en", {}).items():
        leaf = head(derivation.children[part])
        if leaf is None or id(leaf) not in places:
            message = f"`{prefix}mark` asks for the place of part {rule.parts[part].name}, which `{prefix}en` does not write."
            raise Item(rule.where, "").error(message)
        words[label] = places[id(leaf)]
    chosen = written.get(wrong, written[other])
    return Half(source, written[f"{prefix}zh"], None if chosen == NO_CHOICE else chosen, words, rule)


def _item(phrasebook: Phrasebook, probe: str, half: Half) -> ProbeItem:
    """The item, with the tag of a derivation that writes its sentence and its translation."""
    translated = phrasebook.parser.translated(half.source)
    if half.target not in translated:
        message = (
            f"the probe {probe} translates “{half.source}” as “{half.target}”, which is no translation by the rules for whole "
            "sentences; write rules that allow it, or correct this one."
        )
        raise Item(half.rule.where, "").error(message)
    words = {"words": half.words} if half.words else {}
    tag = write_tag(phrasebook.read(translated[half.target]).properties() | words)
    return ProbeItem(half.source, half.target, half.wrong, tag, sorted(translated))
