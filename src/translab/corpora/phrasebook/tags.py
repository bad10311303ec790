"""What a pair was made of: its tag, and the combinations of words by which a split can be held out.

A *combination* is an unordered pair of senses that depend on each other. One in `HELD_OUT_SHARE` of them, chosen by a hash of
their names and so the same in every task, never occurs in training; pronouns and names combine with everything and are exempt.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, NamedTuple

from translab.corpora.phrasebook.derivations import Derivation, constructions, dependents, depth, sense, senses

HELD_OUT_SHARE = 12
"""One combination in this many is held out."""
EXEMPT = ("Pronoun", "Name")
"""Word classes whose senses form no combinations."""

Combination = tuple[str, str]
"""The names of two senses, sorted."""


class Drawn(NamedTuple):
    """A pair with the derivation that it was read from."""

    source: str
    target: str
    derivation: Derivation
    places: dict[int, int]
    """The index of the English word at which each leaf (by its `id`) stands."""

    @property
    def length(self) -> int:
        """English words."""
        return self.source.count(" ") + 1

    def properties(self) -> dict[str, Any]:
        """What the tag says: constructions, depth, length, senses, and dependents with their distance in English words."""
        return {
            "constructions": constructions(self.derivation),
            "depth": depth(self.derivation),
            "length": self.length,
            "senses": [each.name for each in senses(self.derivation)],
            "dependents": [
                [sense(first).name, sense(second).name, self._distance(first, second)]
                for first, second in dependents(self.derivation)
            ],
        }

    def combinations(self) -> set[Combination]:
        """The combinations that occur."""
        return {
            combination(sense(first).name, sense(second).name)
            for first, second in dependents(self.derivation)
            if sense(first).word_class not in EXEMPT and sense(second).word_class not in EXEMPT
        }

    def holds_out(self) -> bool:
        """Whether a combination occurs that is held out of training."""
        return any(map(is_held_out, self.combinations()))

    def _distance(self, first: Derivation, second: Derivation) -> int | None:
        """English words between the two; none, if one of them is not written."""
        if id(first) not in self.places or id(second) not in self.places:
            return None
        return abs(self.places[id(first)] - self.places[id(second)])


def combination(first: str, second: str) -> Combination:
    """The combination of two senses, by their names."""
    return (first, second) if first < second else (second, first)


@cache
def is_held_out(names: Combination) -> bool:
    """Whether a combination is kept out of training."""
    return int.from_bytes(hashlib.blake2b("\t".join(names).encode(), digest_size=8).digest()) % HELD_OUT_SHARE == 0


def write_tag(properties: dict[str, Any]) -> str:
    """A tag as text: JSON with sorted keys."""
    return json.dumps(properties, ensure_ascii=False, sort_keys=True)
