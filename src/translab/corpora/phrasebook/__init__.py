"""The phrasebook: the embedded English–Chinese corpus, made by a synchronous grammar over a written lexicon.

Each task in `tasks.yaml` names its files of definitions, senses and rules. `generate` draws derivations by the rules' weights,
without repetition; every pair carries what it was made of. No sentence is copied from anywhere.

    >>> pair = next(generate("travel", 1, 7))
    >>> sorted(json.loads(pair.tag))
    ['constructions', 'depth', 'senses']
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions, read_definitions
from translab.corpora.phrasebook.english import sentence
from translab.corpora.phrasebook.grammar import Grammar, Trace
from translab.corpora.phrasebook.lexicon import check_duplicates, read_senses
from translab.corpora.phrasebook.reading import Item, PhrasebookError, read
from translab.corpora.phrasebook.rules import check_rules, read_rules

__all__ = ["Pair", "Phrasebook", "PhrasebookError", "generate", "load", "statistics"]

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
    """One task's grammar, with the sentence lengths (English words) it keeps to."""

    def __init__(self, task: str, folder: Path) -> None:
        self.task = task
        tasks = read(folder / "tasks.yaml").entries()
        if task not in tasks:
            raise PhrasebookError(f"{task} is not a task of the phrasebook.{nearest(task, sorted(tasks))}")
        entry = tasks[task].fields(("definitions", "lexicon", "rules", "start", "depth", "shortest", "longest"))
        self._definitions: Definitions = read_definitions(read(folder / entry["definitions"].text()))
        self.senses = [
            sense for file in entry["lexicon"].words() for sense in read_senses(self._definitions, read(folder / file))
        ]
        check_duplicates(self.senses)
        self.rules = [rule for file in entry["rules"].words() for rule in read_rules(self._definitions, read(folder / file))]
        check_rules(self._definitions, self.rules)
        self._shortest, self._longest = entry["shortest"].whole(), entry["longest"].whole()
        start = entry["start"].text()
        if start not in {rule.head.symbol for rule in self.rules}:
            raise entry["start"].error(f"there is no rule for {start}.")
        if self._definitions.symbols[start]:
            raise entry["start"].error(f"{start} has features; a sentence can have none.")
        self.grammar = Grammar(self._definitions, self.senses, self.rules, start, entry["depth"].whole())
        used = self.grammar.used()
        for rule in self.rules:
            if id(rule) not in used:
                raise Item(rule.where, "").error(f"in task {task} no sentence uses this rule for {rule.head.symbol}.")
        for sense in self.senses:
            if id(sense) not in used:
                message = f"in task {task} no sentence uses the sense {sense.name} of {sense.word_class}."
                raise Item(sense.where, "").error(message)

    def pairs(self, seed: int) -> Iterator[Pair]:
        """Pairs without repetition, until no new one is found."""
        generator = random.Random(f"{self.task} {seed}")
        seen: set[tuple[str, str]] = set()
        misses = 0
        while misses < PATIENCE:
            pair, _ = self._draw(generator)
            if pair is None or (pair.source, pair.target) in seen:
                misses += 1
                continue
            misses = 0
            seen.add((pair.source, pair.target))
            yield pair

    def distinct_pairs(self) -> int:
        """A lower bound of the number of pairs, wrong with a probability of `DOUBT` at most.

        The mean of 1 / probability over drawn derivations that make a pair is an unbiased estimate, but one with a heavy tail;
        by Markov's inequality it exceeds the truth by a factor of 1 / `DOUBT` with a probability of `DOUBT` at most. The rare
        pair with several derivations is counted once for each.
        """
        generator = random.Random(f"{self.task} distinct pairs")
        draws = [self._draw(generator) for _ in range(TRIALS)]
        return int(sum(1 / probability for pair, probability in draws if pair is not None) / TRIALS * DOUBT)

    def _draw(self, generator: random.Random) -> tuple[Pair | None, float]:
        """A pair (none, if the derivation repeats a sense or has the wrong length) and its derivation's probability."""
        outputs, trace = self.grammar.draw(generator)
        if self._repeats(trace):
            return None, trace.probability
        source = sentence(outputs["en"], self._definitions.vowel_sounds, self._definitions.consonant_sounds)
        if not self._shortest <= source.count(" ") + 1 <= self._longest:
            return None, trace.probability
        return Pair(source, outputs["zh"], _tag(trace)), trace.probability

    def _repeats(self, trace: Trace) -> bool:
        groups = trace.groups + [sense.group for sense in trace.senses if self._definitions.words[sense.word_class].once]
        return len(set(groups)) < len(groups)


def load(task: str, folder: Path = FOLDER) -> Phrasebook:
    """A task's phrasebook, read and checked once in a process."""
    return _load(task, folder)


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


def statistics(task: str) -> dict[str, Any]:
    """How large a task's phrasebook is; `distinct_pairs` is a lower bound from a fixed sample."""
    phrasebook = load(task)
    return {
        "senses": len(phrasebook.senses),
        "constructions": len({rule.construction for rule in phrasebook.rules if rule.construction is not None}),
        "rules": len(phrasebook.rules),
        "distinct_pairs": phrasebook.distinct_pairs(),
        "distinct_pairs_is": "lower bound (95 %)",
    }


@cache
def _load(task: str, folder: Path) -> Phrasebook:
    return Phrasebook(task, folder)


def _tag(trace: Trace) -> str:
    constructions = list(dict.fromkeys(trace.constructions))
    tag = {"constructions": constructions, "depth": trace.depth, "senses": [sense.name for sense in trace.senses]}
    return json.dumps(tag, ensure_ascii=False, sort_keys=True)
