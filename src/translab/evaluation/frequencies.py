"""Are rare words translated? The recall of a reference's words by how often the training text has them.

As in compare-mt (Neubig et al. 2019, "compare-mt: A Tool for Holistic Comparison of Language Generation Systems", section 2.2),
a word that stands k times in the reference counts as found as often as the output has it, at most k times.

    words       those that BLEU's primary tokeniser makes, characters in Chinese: models with other vocabularies are asked for
                the same words
    frequency   in all of the task's training targets, even where a run was trained on a part of them: all runs are asked for
                the same words here too
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from translab.evaluation.scoring import words

RARE = 20
"""A word is rare if the training targets have it at most so often.

The smallest round number at which the phrasebook's test set of 1,000 sentences has more than 200 rare words to be found: with
6,000 training pairs of `travel` they are 230 in 159 sentences (at 15 they are 154, at 25 308).
"""
FREQUENCIES = (0, 1, 6, RARE + 1, 101, 501)
"""Lower bounds of the frequency buckets."""
UPPER = (*(bound - 1 for bound in FREQUENCIES[1:]), None)


@dataclass(frozen=True)
class Recall:
    """What was found of the references' words."""

    rare_found: list[int]
    """Of each sentence: rare words of the reference that the output has."""
    rare_all: list[int]
    """Of each sentence: rare words of the reference."""
    by_frequency: list[dict[str, Any]]
    """For each bucket of frequencies that has any: `lower`, `upper`, `types` (different words), `all` (as often as the
    references have them), `found` (as often as the outputs have them too)."""


def training_frequencies(targets: Sequence[str], language: str) -> Counter[str]:
    """How often each word stands in the training targets."""
    return Counter(word for target in targets for word in words(target, language))


def recall(outputs: Sequence[str], references: Sequence[str], language: str, frequencies: Counter[str]) -> Recall:
    """What the outputs have of the references' words, by how frequent these are in the training text."""
    found, everything = ([[0] * len(FREQUENCIES) for _ in references] for _ in range(2))
    types: list[set[str]] = [set() for _ in FREQUENCIES]
    for row, (output, reference) in enumerate(zip(outputs, references, strict=True)):
        made = Counter(words(output, language))
        for word, count in Counter(words(reference, language)).items():
            bucket = bisect_right(FREQUENCIES, frequencies[word]) - 1
            types[bucket].add(word)
            everything[row][bucket] += count
            found[row][bucket] += min(count, made[word])
    rare = FREQUENCIES.index(RARE + 1)
    return Recall(
        [sum(row[:rare]) for row in found],
        [sum(row[:rare]) for row in everything],
        [
            {
                "lower": lower,
                "upper": upper,
                "types": len(types[bucket]),
                "all": sum(row[bucket] for row in everything),
                "found": sum(row[bucket] for row in found),
            }
            for bucket, (lower, upper) in enumerate(zip(FREQUENCIES, UPPER, strict=True))
            if types[bucket]
        ],
    )
