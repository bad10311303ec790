"""One task of the phrasebook: its grammar, with the sentence lengths it keeps to, read from the data files and checked."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions, read_definitions
from translab.corpora.phrasebook.derivations import Derivation, marked, outputs, positions, probability, repeats
from translab.corpora.phrasebook.english import marked_sentence
from translab.corpora.phrasebook.grammar import Grammar, Node
from translab.corpora.phrasebook.lexicon import check_duplicates, read_senses
from translab.corpora.phrasebook.parsing import Parser, parser
from translab.corpora.phrasebook.reading import Item, PhrasebookError, read
from translab.corpora.phrasebook.rules import check_rules, check_twins, read_rules
from translab.corpora.phrasebook.tags import Drawn, write_tag

FOLDER = Path(__file__).parent
PATIENCE = 20_000
"""Draws in a row without a new pair after which a phrasebook counts as exhausted."""
TRIALS = 4_000
"""Derivations drawn to estimate how many pairs there are."""
DOUBT = 0.05
"""Probability with which the number of pairs may lie below the bound that is reported."""


@dataclass(frozen=True)
class Pair:
    """An English sentence, its Chinese translation, and a JSON object that says what they were made of."""

    source: str
    target: str
    tag: str


class Phrasebook:
    """One task's grammar."""

    def __init__(self, task: str, folder: Path) -> None:
        self.task = task
        self.folder = folder
        entries = tasks(folder)
        if task not in entries:
            raise PhrasebookError(f"{task} is not a task of the phrasebook.{nearest(task, sorted(entries))}")
        required = ("definitions", "lexicon", "rules", "start", "depth", "shortest", "longest", "longer")
        entry = entries[task].fields(required, ("probes",))
        self.definitions: Definitions = read_definitions(read(folder / entry["definitions"].text()))
        lexicon = [folder / file for file in entry["lexicon"].words()]
        self.senses = [sense for file in lexicon for sense in read_senses(self.definitions, read(file))]
        check_duplicates(self.senses)
        rules = [folder / file for file in entry["rules"].words()]
        self.rules = [rule for file in rules for rule in read_rules(self.definitions, read(file))]
        check_rules(self.definitions, self.rules)
        self.shortest, self.longest = entry["shortest"].whole(), entry["longest"].whole()
        self._check_start(entry["start"])
        start, depth = entry["start"].text(), entry["depth"].whole()
        self.grammar = Grammar(self.definitions, self.senses, self.rules, start, depth)
        longer = entry["longer"].fields(("depth", "longest"))
        self._greatest_depth, self.longest_of_all = longer["depth"].whole(), longer["longest"].whole()
        self._start = start
        self.probes: dict[str, Node] = {}
        for name, item in entry["probes"].entries().items() if "probes" in entry else ():
            self._check_start(item)
            check_twins(item.text(), self.rules)
            self.probes[name] = self.grammar.symbol(item.text(), depth)
        self._check_use()

    @cached_property
    def deepest(self) -> Node:
        """All sentences, those of the `longer` split among them."""
        return self.grammar.symbol(self._start, self._greatest_depth)

    @property
    def constructions(self) -> set[str]:
        """The names of the constructions."""
        return {rule.construction for rule in self.rules if rule.construction is not None}

    @property
    def parser(self) -> Parser:
        """Reads English sentences."""
        return parser(self.deepest, "en")

    def translations(self, source: str) -> frozenset[str]:
        """All Chinese sides of an English sentence; none, if the grammar does not make the sentence."""
        return self.parser.translations(source)

    def accepts(self, source: str, output: str) -> bool:
        """Whether an output, but for white space at its ends, is one of the translations."""
        return output.strip() in self.translations(source)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all data files, those of the other tasks included: another digest, another corpus."""
        names = {"tasks.yaml"}
        for entry in tasks(self.folder).values():
            keys = entry.entries()
            names |= {name for key in ("definitions", "lexicon", "rules") for name in keys[key].words()}
        content = b"".join(name.encode() + b"\n" + (self.folder / name).read_bytes() for name in sorted(names))
        return hashlib.sha256(content).hexdigest()

    def pairs(self, seed: int) -> Iterator[Pair]:
        """Pairs without repetition, until no new one is found."""
        generator = random.Random(f"{self.task} {seed}")
        seen: set[tuple[str, str]] = set()
        misses = 0
        while misses < PATIENCE:
            drawn = self.draw(generator, self.grammar.root, self.shortest, self.longest)
            if drawn is None or (drawn.source, drawn.target) in seen:
                misses += 1
                continue
            misses = 0
            seen.add((drawn.source, drawn.target))
            yield Pair(drawn.source, drawn.target, write_tag(drawn.properties()))

    def distinct_pairs(self) -> int:
        """A lower bound of the number of pairs, wrong with a probability of `DOUBT` at most.

        The mean of 1 / probability over drawn derivations that make a pair is an unbiased estimate, but one with a heavy tail;
        by Markov's inequality it exceeds the truth by a factor of 1 / `DOUBT` with a probability of `DOUBT` at most. The rare
        pair with several derivations is counted once for each.
        """
        generator = random.Random(f"{self.task} distinct pairs")
        draws = [self.draw(generator, self.grammar.root, self.shortest, self.longest) for _ in range(TRIALS)]
        return int(sum(1 / probability(drawn.derivation) for drawn in draws if drawn is not None) / TRIALS * DOUBT)

    def draw(self, generator: random.Random, node: Node, shortest: int, longest: int) -> Drawn | None:
        """A pair; none, if the derivation repeats a sense or has fewer or more English words than asked for."""
        derivation = self.grammar.draw(generator, node)
        if repeats(derivation):
            return None
        drawn = self.read(derivation)
        return drawn if shortest <= drawn.length <= longest else None

    def read(self, derivation: Derivation) -> Drawn:
        """The pair that a derivation writes."""
        source, places = self.write(derivation, "en")
        return Drawn(source, outputs(derivation)["zh"], derivation, places)

    def write(self, derivation: Derivation, key: str) -> tuple[str, dict[int, int]]:
        """An English output as a sentence, and at which of its words each leaf (by its `id`) stands."""
        text, leaves = marked(derivation, key)
        sentence, marks = marked_sentence(text, self.definitions.vowel_sounds, self.definitions.consonant_sounds)
        return sentence, positions(leaves, marks)

    def _check_start(self, item: Item) -> None:
        symbol = item.text()
        if symbol not in {rule.head.symbol for rule in self.rules}:
            raise item.error(f"there is no rule for {symbol}.")
        if self.definitions.symbols[symbol]:
            raise item.error(f"{symbol} has features; a sentence can have none.")

    def _check_use(self) -> None:
        used = self.grammar.used([self.grammar.root, *self.probes.values()])
        for rule in self.rules:
            if id(rule) not in used:
                raise Item(rule.where, "").error(f"in task {self.task} no sentence uses this rule for {rule.head.symbol}.")
        for sense in self.senses:
            if id(sense) not in used:
                message = f"in task {self.task} no sentence uses the sense {sense.name} of {sense.word_class}."
                raise Item(sense.where, "").error(message)


def tasks(folder: Path = FOLDER) -> dict[str, Item]:
    """The tasks, by name."""
    return read(folder / "tasks.yaml").entries()


def load(task: str, folder: Path = FOLDER) -> Phrasebook:
    """A task's phrasebook, read and checked once in a process."""
    return _load(task, folder)


@cache
def _load(task: str, folder: Path) -> Phrasebook:
    return Phrasebook(task, folder)


def generate(task: str, pairs: int, seed: int) -> Iterator[Pair]:
    """Make sentence pairs.

    Args:
        task: a task in `tasks.yaml`.
        pairs: how many pairs; no two are equal.
        seed: the same seed gives the same pairs in the same order.

    Raises:
        PhrasebookError: the task does not exist, a data file is wrong, or the phrasebook cannot make that many pairs.
    """
    found = 0
    source = load(task).pairs(seed)
    while found < pairs:
        pair = next(source, None)
        if pair is None:
            message = f"{pairs} pairs of task {task} were asked for, but only {found} could be found; ask for fewer."
            raise PhrasebookError(message)
        found += 1
        yield pair
