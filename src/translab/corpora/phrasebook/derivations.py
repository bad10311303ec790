"""Derivations: what the grammar chose, as a tree, and what can be read off it.

A leaf is a sense in one of its forms; every other derivation is a rule with a derivation for each of its parts. Two words are
*dependents* where one selects the other: their parts share a variable of a feature that asks for a semantic class (`eat` takes
food, so `eat` and `apple` are dependents in `eat an apple`). A part that is a phrase is represented by its head word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from translab.corpora.phrasebook.english import MARK
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.rules import Rule

if TYPE_CHECKING:
    from translab.corpora.phrasebook.grammar import Alternative, Node


@dataclass(frozen=True, slots=True, eq=False)
class Derivation:
    """An alternative of a node, with a derivation for each of its parts."""

    alternative: Alternative
    children: tuple[Derivation, ...]


def outputs(derivation: Derivation) -> dict[str, str]:
    """Both sides (`en`, `zh`) and the fields of a derivation, as its rules write them."""
    alternative = derivation.alternative
    if not alternative.outputs:
        return alternative.words
    parts = [outputs(child) for child in derivation.children]
    return {
        key: "".join([piece if isinstance(piece, str) else parts[piece[0]][piece[1]] for piece in pieces])
        for key, pieces in alternative.outputs
    }


def marked(derivation: Derivation, key: str) -> tuple[str, list[tuple[Derivation, str]]]:
    """One of the outputs with a `MARK` before every word that a leaf gives, and those leaves with what they give, in order."""
    pieces: list[str] = []
    leaves: list[tuple[Derivation, str]] = []
    _write(derivation, key, pieces, leaves)
    return "".join(pieces), leaves


def positions(leaves: list[tuple[Derivation, str]], marks: list[int]) -> dict[int, int]:
    """Where each leaf (by its `id`) has its word: its own side if that is written, else the first of its fields.

    Args:
        leaves: of `marked`.
        marks: the index of the word at each mark.
    """
    found: dict[int, int] = {}
    for (leaf, key), index in zip(leaves, marks, strict=True):
        if key == "en":
            found.setdefault(id(leaf), index)
    for (leaf, _), index in zip(leaves, marks, strict=True):
        found.setdefault(id(leaf), index)
    return found


def walk(derivation: Derivation) -> Iterator[Derivation]:
    """The derivation and all below it, each before its parts."""
    stack = [derivation]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(reversed(each.children))


def sense(leaf: Derivation) -> Sense:
    """The sense that a leaf is."""
    origin = leaf.alternative.origin
    assert isinstance(origin, Sense), "only senses have no parts"
    return origin


def senses(derivation: Derivation) -> list[Sense]:
    """The senses, in the order of the rules' parts."""
    return [each.alternative.origin for each in walk(derivation) if isinstance(each.alternative.origin, Sense)]


def constructions(derivation: Derivation) -> list[str]:
    """The names of the constructions, each once, outermost first."""
    origins = [each.alternative.origin for each in walk(derivation)]
    return list(dict.fromkeys(origin.construction for origin in origins if isinstance(origin, Rule) and origin.construction))


def depth(derivation: Derivation) -> int:
    """How many rules marked `deeper` lie inside one another."""
    below = max(map(depth, derivation.children), default=0)
    return below + (isinstance(derivation.alternative.origin, Rule) and derivation.alternative.origin.deeper)


def probability(derivation: Derivation) -> float:
    """The probability with which it is drawn."""
    return prod(each.alternative.weight for each in walk(derivation))


def repeats(derivation: Derivation) -> bool:
    """Whether two senses, or a sense and a rule, exclude each other: the sampler refuses such a derivation."""
    groups = [group for each in walk(derivation) if (group := each.alternative.origin.group) is not None]
    return len(set(groups)) < len(groups)


def head(derivation: Derivation) -> Derivation | None:
    """The leaf that stands for a phrase; none, if the rules on the way have no parts."""
    while isinstance(origin := derivation.alternative.origin, Rule):
        if origin.head_part is None:
            return None
        derivation = derivation.children[origin.head_part]
    return derivation


def dependents(derivation: Derivation) -> list[tuple[Derivation, Derivation]]:
    """The leaves that depend on each other; the first selects the second."""
    found = []
    for each in walk(derivation):
        if isinstance(each.alternative.origin, Rule):
            for selecting, selected in each.alternative.origin.dependents:
                first, second = head(each.children[selecting]), head(each.children[selected])
                if first is not None and second is not None:
                    found.append((first, second))
    return found


def _write(derivation: Derivation, key: str, pieces: list[str], leaves: list[tuple[Derivation, str]]) -> None:
    alternative = derivation.alternative
    if not alternative.outputs:
        if word := alternative.words[key]:
            pieces.append(MARK + word)
            leaves.append((derivation, key))
        return
    for name, template in alternative.outputs:
        if name == key:
            for piece in template:
                if isinstance(piece, str):
                    pieces.append(piece)
                else:
                    _write(derivation.children[piece[0]], piece[1], pieces, leaves)


def written_forms(root: Node) -> dict[str, list[Sense]]:
    """Every English form that a leaf below a node may have, with the senses that it may be."""
    forms: dict[str, list[Sense]] = {}
    seen = {root}
    stack = [root]
    while stack:
        for alternative in stack.pop().alternatives:
            if isinstance(origin := alternative.origin, Sense):
                senses = forms.setdefault(alternative.words["en"], [])
                if not any(each is origin for each in senses):
                    senses.append(origin)
            new = [child for child in alternative.children if child not in seen]
            seen.update(new)
            stack += new
    return forms
