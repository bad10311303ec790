"""Patterns: the languages of the grammar's nodes, made ready for a parser.

A *pattern* is the language of one output of a node, as a trie whose edges are literals and the patterns of parts. Nodes that
write the same language (the forms of a verb that English does not tell apart) share one pattern.

Sentences are read in *units*. Chinese is read by character; English by words and punctuation, each of which is one character of
a private plane here, so that the sentences of both languages are strings. An English template must therefore separate its parts
by white space or punctuation, as written English does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from translab.corpora.phrasebook.grammar import Alternative, Node

WORD = re.compile(r"\w+|[^\w\s]")
FIRST_WORD = 0xF0000
UNKNOWN = "\0"

Sequence = tuple["str | Pattern", ...]


class State:
    """A place in a pattern: which literals and patterns may follow, and what the pattern has read if it may end here."""

    __slots__ = ("_following", "_moves", "whole")

    def __init__(self) -> None:
        self.whole: Sequence | None = None
        self._following: dict[str | Pattern, State] = {}
        self._moves: dict[str, list[tuple[str | Pattern, State]]] = {}

    def add(self, sequence: Sequence) -> None:
        """Let a sequence start here."""
        state = self
        for piece in sequence:
            following = state._following.get(piece)
            if following is None:
                following = state._following[piece] = State()
            state = following
        state.whole = sequence

    def open(self, unit: str) -> list[tuple[str | Pattern, State]]:
        """The moves that are possible before a unit (an empty one at the end of the text)."""
        found = self._moves.get(unit)
        if found is None:
            found = self._moves[unit] = [
                (piece, state)
                for piece, state in self._following.items()
                if (piece[0] == unit if isinstance(piece, str) else piece.nullable or unit in piece.first)
            ]
        return found


class Pattern:
    """The language of one output of a node: all ways to read it.

    Attributes:
        first: the units with which its texts may start.
        nullable: whether it has an empty text.
    """

    def __init__(self, sequences: Iterable[Sequence]) -> None:
        self._sequences = list(sequences)
        self.first: set[str] = set()
        self.nullable = False
        for sequence in self._sequences:
            for piece in sequence:
                self.first |= {piece[0]} if isinstance(piece, str) else piece.first
                if isinstance(piece, str) or not piece.nullable:
                    break
            else:
                self.nullable = True

    @cached_property
    def start(self) -> State:
        """The trie, which is made when a sentence first needs it."""
        state = State()
        for sequence in self._sequences:
            state.add(sequence)
        return state


class Reading(NamedTuple):
    """A node's pattern for one output, and the alternatives that each of its sequences stands for."""

    pattern: Pattern
    alternatives: dict[Sequence, list[Alternative]]


class Patterns:
    """The patterns of one side (`en` or `zh`)."""

    def __init__(self, side: str) -> None:
        self.side = side
        self._words: dict[str, str] = {}
        self._literals: dict[str, str] = {}
        self._patterns: dict[frozenset[Sequence], Pattern] = {}
        self._readings: dict[tuple[Node, str], Reading] = {}

    def units(self, text: str) -> str:
        """The units of a text, with `an` as `a`; an English word that no pattern has is `UNKNOWN`."""
        if self.side == "zh":
            return text
        return "".join([self._words.get(word, UNKNOWN) for word in _words(text)])

    def reading(self, node: Node, key: str) -> Reading:
        """How an output of a node is read."""
        if (node, key) not in self._readings:
            sequences: dict[Sequence, list[Alternative]] = {}
            for alternative in node.alternatives:
                sequences.setdefault(self._sequence(alternative, key), []).append(alternative)
            language = frozenset(sequences)
            if language not in self._patterns:
                self._patterns[language] = Pattern(sequences)
            self._readings[node, key] = Reading(self._patterns[language], sequences)
        return self._readings[node, key]

    def _sequence(self, alternative: Alternative, key: str) -> Sequence:
        """An output as literals and patterns, with neighbouring literals joined."""
        pieces = dict(alternative.outputs)[key] if alternative.outputs else [alternative.words[key]]
        sequence: list[str | Pattern] = []
        for piece in pieces:
            if not isinstance(piece, str):
                sequence.append(self.reading(alternative.children[piece[0]], piece[1]).pattern)
            elif literal := self._literal(piece):
                if sequence and isinstance(last := sequence[-1], str):
                    sequence[-1] = last + literal
                else:
                    sequence.append(literal)
        return tuple(sequence)

    def _literal(self, text: str) -> str:
        if text not in self._literals:
            for word in _words(text) if self.side == "en" else ():
                self._words.setdefault(word, chr(FIRST_WORD + len(self._words)))
            self._literals[text] = self.units(text)
        return self._literals[text]


def _words(text: str) -> list[str]:
    return ["a" if word == "an" else word for word in WORD.findall(text)]
