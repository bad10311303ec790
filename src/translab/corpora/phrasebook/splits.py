"""The splits of a phrasebook: probes, an i.i.d. split, and two splits that ask for more than training showed.

`compositional` (Lake and Baroni, 2018, Generalization without systematicity; here by combinations of words, which needs no
second grammar): every sense and every construction of a pair occurs in training, but two of its words that depend on each other
never occur together there. `longer`: more English words than any pair of training, and clauses that may nest deeper.

No sentence of either side, normalised, occurs twice, and so none in two splits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from translab.config import nearest
from translab.corpora.phrasebook.book import PATIENCE, Phrasebook, load
from translab.corpora.phrasebook.derivations import constructions, senses
from translab.corpora.phrasebook.grammar import Node
from translab.corpora.phrasebook.probes import Taken, twins
from translab.corpora.phrasebook.reading import PhrasebookError
from translab.corpora.phrasebook.tags import Drawn, write_tag

IDENTICAL = ("train", "valid", "test")
"""The splits of one distribution."""


class Entry(NamedTuple):
    """A pair of a split; `wrong` and `group` (its twin) are set for the items of a probe.

    `translations` are all that the grammar allows for the source, sorted; training pairs have none, nobody scores them.
    """

    split: str
    source: str
    target: str
    wrong: str | None
    group: str | None
    tag: str
    translations: list[str] | None


def corpus(task: str, sizes: Mapping[str, int], probe_items: int, seed: int) -> Iterator[Entry]:
    """Make a corpus with its splits.

    Args:
        task: a task in `tasks.yaml`.
        sizes: pairs of `train`, `valid`, `test`, `compositional` and `longer`.
        probe_items: items of each of the task's probes; an even number, for items come in twins.
        seed: the same seed gives the same entries in the same order.

    Raises:
        PhrasebookError: a data file is wrong, or there are not as many pairs or items as asked for.
    """
    phrasebook, taken = load(task), Taken()
    for probe in sorted(phrasebook.probes):
        yield from probe_entries(phrasebook, probe, probe_items, seed, taken)
    dealt = _identical(phrasebook, sizes, seed, taken)
    for split, pairs in dealt.items():
        yield from _entries(phrasebook, split, pairs)
    train = dealt["train"]
    known = {sense.name for pair in train for sense in senses(pair.derivation)}
    known |= {name for pair in train for name in constructions(pair.derivation)}

    def seen(pair: Drawn) -> bool:
        names = [sense.name for sense in senses(pair.derivation)] + constructions(pair.derivation)
        return known.issuperset(names)

    wanted = sizes["compositional"]
    source = _Source(phrasebook, "compositional", seed, phrasebook.grammar.root, phrasebook.shortest, phrasebook.longest)
    pairs = source.take(wanted, lambda pair: pair.holds_out() and seen(pair), taken)
    yield from _entries(phrasebook, "test-compositional", pairs)
    shortest = max((pair.length for pair in train), default=0) + 1
    source = _Source(phrasebook, "longer", seed, phrasebook.deepest, shortest, phrasebook.longest_of_all)
    pairs = source.take(sizes["longer"], lambda pair: not pair.holds_out() and seen(pair), taken)
    yield from _entries(phrasebook, "test-longer", pairs)


def probe_entries(phrasebook: Phrasebook, probe: str, items: int, seed: int, taken: Taken) -> Iterator[Entry]:
    """Items of a probe, twin by twin.

    Raises:
        PhrasebookError: the task has no such probe, the number of items is odd, or there are not as many.
    """
    if probe not in phrasebook.probes:
        message = f"task {phrasebook.task} has no probe {probe}.{nearest(probe, sorted(phrasebook.probes))}"
        raise PhrasebookError(message)
    if items % 2:
        raise PhrasebookError(f"{items} probe items were asked for, but items come in twins; ask for an even number.")
    source = twins(phrasebook, probe, random.Random(f"{phrasebook.task} {probe} {seed}"), taken)
    for number in range(items // 2):
        twin = next(source, None)
        if twin is None:
            raise _shortage(phrasebook, items, f"items of the probe {probe}", 2 * number)
        for item in twin:
            group = f"{probe} {number}"
            yield Entry(f"probe-{probe}", item.source, item.target, item.wrong, group, item.tag, item.translations)


class _Source(NamedTuple):
    """Where the pairs of a split are drawn from."""

    phrasebook: Phrasebook
    split: str
    seed: int
    node: Node
    shortest: int
    longest: int

    def take(self, wanted: int, fits: Callable[[Drawn], bool], taken: Taken) -> list[Drawn]:
        """Pairs that fit and share no sentence with what is taken."""
        generator = random.Random(f"{self.phrasebook.task} {self.split} {self.seed}")
        found: list[Drawn] = []
        misses = 0
        while len(found) < wanted:
            pair = self.phrasebook.draw(generator, self.node, self.shortest, self.longest)
            if pair is not None and fits(pair) and taken.add((pair.source, pair.target)):
                found.append(pair)
                misses = 0
            elif misses < PATIENCE:
                misses += 1
            else:
                raise _shortage(self.phrasebook, wanted, f"{self.split} pairs", len(found))
        return found


def _identical(phrasebook: Phrasebook, sizes: Mapping[str, int], seed: int, taken: Taken) -> dict[str, list[Drawn]]:
    """The pairs of one distribution, dealt out to training, validation and test."""
    source = _Source(phrasebook, "i.i.d.", seed, phrasebook.grammar.root, phrasebook.shortest, phrasebook.longest)
    pairs = source.take(sum(sizes[split] for split in IDENTICAL), lambda pair: not pair.holds_out(), taken)
    random.Random(f"{phrasebook.task} dealing {seed}").shuffle(pairs)
    dealt = {}
    for split in IDENTICAL:
        dealt[split], pairs = pairs[: sizes[split]], pairs[sizes[split] :]
    return dealt


def _entries(phrasebook: Phrasebook, split: str, pairs: list[Drawn]) -> Iterator[Entry]:
    for pair in pairs:
        translations = None if split == "train" else sorted(phrasebook.translations(pair.source))
        yield Entry(split, pair.source, pair.target, None, None, write_tag(pair.properties()), translations)


def _shortage(phrasebook: Phrasebook, wanted: int, what: str, found: int) -> PhrasebookError:
    message = f"{wanted} {what} of task {phrasebook.task} were asked for, but only {found} could be found; ask for fewer."
    return PhrasebookError(message)
