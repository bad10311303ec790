"""The structure of a Chinese sentence: which words belong together, whatever their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

from translab.corpora.phrasebook.derivations import Derivation


class Structure(NamedTuple):
    """A word, or the characters of a rule with its parts in the order of the rule; `origin` tells the rule or the sense."""

    origin: int
    text: str
    parts: tuple[Structure, ...]

    def content(self) -> Hashable:
        """What is the same for phrases of the same words in the same structure, whatever the order."""
        label = self.text if self.parts else (self.origin, self.text)
        return label, frozenset(Counter([part.content() for part in self.parts]).items())


def is_exchanged(one: Derivation, other: Derivation) -> bool:
    """Whether two derivations of the same words differ only in which of its phrases stands where."""
    pairs = _pairs(_structure(one), _structure(other))
    return Counter([first.content() for first, _ in pairs]) == Counter([second.content() for _, second in pairs])


def _structure(derivation: Derivation) -> Structure:
    """Rules that add nothing to their only part are left out, and so are parts that write nothing."""
    origin = id(derivation.alternative.origin)
    if not derivation.alternative.outputs:
        return Structure(origin, derivation.alternative.words["zh"], ())
    pieces = dict(derivation.alternative.outputs)["zh"]
    text = "".join(sorted("".join([piece for piece in pieces if isinstance(piece, str)])))
    parts = [part for part in map(_structure, derivation.children) if part.text or part.parts]
    return parts[0] if len(parts) == 1 and not text else Structure(origin, text, tuple(parts))


def _pairs(one: Structure, other: Structure) -> list[tuple[Structure, Structure]]:
    """The phrases that stand in the same place of both structures and differ."""
    if one.content() == other.content():
        return []
    if one.origin == other.origin and one.text == other.text and len(one.parts) == len(other.parts):
        return [pair for parts in zip(one.parts, other.parts, strict=True) for pair in _pairs(*parts)]
    return [(one, other)]
