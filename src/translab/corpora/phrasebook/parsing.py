"""Parsing: the derivations of a sentence, and all of its translations.

The grammar's nodes make a plain context-free grammar without endless recursion. Recognition is top-down and memoised over the
places of the sentence, and tries only what the next unit allows; then the alternatives on a path through the whole sentence are
read. This is a packed forest (Billot and Lang, 1989, The structure of shared forests in ambiguous parsing): what a phrase can
mean is computed once for each node and span, not once for each derivation. That senses of one group exclude each other is more
than a context-free grammar says, so the groups that a meaning uses go with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from translab.corpora.phrasebook.derivations import Derivation, outputs, repeats
from translab.corpora.phrasebook.grammar import Alternative, Node
from translab.corpora.phrasebook.patterns import UNKNOWN, Pattern, Patterns, State

Span = tuple[int, int]
Meaning = tuple[int, tuple[str, ...]]
"""The groups that a derivation uses (one bit each), and its outputs."""
Cheapest = tuple[int, Derivation]
"""A derivation and its cost: how many of its senses and rules are not preferred."""


class Part(NamedTuple):
    """How a child of an alternative is read: where the sentence mentions it, and which of its outputs are needed.

    Each of the checks is an index in `wanted` and another mention, at which the sentence must have that output.
    """

    node: Node
    key: str
    mention: int | None
    wanted: tuple[str, ...]
    checks: tuple[tuple[int, int], ...]

    def span(self, spans: list[Span]) -> Span | None:
        """What the child writes; nothing, if the sentence does not mention it."""
        return None if self.mention is None else spans[self.mention]


class Plan(NamedTuple):
    """How an alternative is read: its parts, and each output that is wanted as texts and (child, index in its `wanted`)."""

    parts: list[Part]
    outputs: list[list[str | tuple[int, int]]]


class Parser:
    """Reads one side (`en` or `zh`) of a node's sentences."""

    def __init__(self, root: Node, side: str) -> None:
        self.root = root
        self.side = side
        self.patterns = Patterns(side)
        self.patterns.reading(root, side)
        self._groups: dict[str, int] = {}
        self._plans: dict[tuple[Alternative, str, tuple[str, ...]], Plan] = {}

    def parse(self, text: str) -> Iterator[Derivation]:
        """The derivations of a sentence; of those that differ in features alone (an apple as food, as goods), one."""
        for units in self._spellings(text):
            for _, derivation in Chart(self, units).derivations(self.root, self.side, (0, len(units))):
                if not repeats(derivation):
                    yield derivation

    def translations(self, text: str) -> frozenset[str]:
        """What the derivations of a sentence write on the other side; empty, if it is no sentence of the grammar."""
        return frozenset(self.translated(text))

    def translated(self, text: str) -> dict[str, Derivation]:
        """Each translation with one of the derivations that write it."""
        wanted = ("zh" if self.side == "en" else "en",)
        return {
            written[0]: derivation
            for units in self._spellings(text)
            for (_, written), (_, derivation) in Chart(self, units, once=True).sentence(wanted).items()
        }

    def nearest(self, text: str, preferred: Collection[int]) -> Derivation | None:
        """The derivation with the fewest senses and rules that are not preferred; here a sense may occur more than once.

        Args:
            text: a sentence; if the grammar has no such sentence, there is no derivation.
            preferred: identities (`id`) of senses and rules.
        """
        for units in self._spellings(text):
            for _, derivation in Chart(self, units, preferred=preferred).sentence(()).values():
                return derivation
        return None

    def group(self, name: str | None) -> int:
        """The bit of a group of senses."""
        return 0 if name is None else self._groups.setdefault(name, 1 << len(self._groups))

    def plan(self, alternative: Alternative, key: str, wanted: tuple[str, ...]) -> Plan:
        """How an alternative is read where the sentence has its output `key`."""
        index = (alternative, key, wanted)
        if index not in self._plans:
            self._plans[index] = self._plan(alternative, key, wanted)
        return self._plans[index]

    def _plan(self, alternative: Alternative, key: str, wanted: tuple[str, ...]) -> Plan:
        templates = dict(alternative.outputs)
        mentions = [piece for piece in templates.get(key, ()) if not isinstance(piece, str)]
        needed = [piece for each in wanted for piece in templates[each] if not isinstance(piece, str)]
        parts = []
        for number, node in enumerate(alternative.children):
            # A child's own side says most about it, a field such as its classifier little; that is checked afterwards.
            places = [place for place, (child, _) in enumerate(mentions) if child == number]
            places.sort(key=lambda place: mentions[place][1] != self.side)
            others = [(mentions[place][1], place) for place in places[1:]]
            keys = [name for child, name in needed if child == number] + [name for name, _ in others]
            unique = tuple(dict.fromkeys(keys))
            checks = tuple([(unique.index(name), place) for name, place in others])
            read, mention = (mentions[places[0]][1], places[0]) if places else ("", None)
            parts.append(Part(node, read, mention, unique, checks))
        return Plan(parts, [[_placed(piece, parts) for piece in templates[each]] for each in wanted])

    def _spellings(self, text: str) -> list[str]:
        """The units of a sentence that the grammar may have; the capital at its start may be the first word's own."""
        text = text.strip()
        spellings = dict.fromkeys(map(self.patterns.units, (text, text[:1].lower() + text[1:])))
        return [units for units in spellings if UNKNOWN not in units]


@cache
def parser(root: Node, side: str) -> Parser:
    """The parser of a node, made once in a process."""
    return Parser(root, side)


def _placed(piece: str | tuple[int, str], parts: list[Part]) -> str | tuple[int, int]:
    return piece if isinstance(piece, str) else (piece[0], parts[piece[0]].wanted.index(piece[1]))


class Chart:
    """What is known about the spans of one sentence.

    Args:
        parser: of the grammar.
        units: the sentence.
        once: leave out derivations that use a group twice.
        preferred: identities of the senses and rules that cost nothing.
    """

    def __init__(self, parser: Parser, units: str, *, once: bool = False, preferred: Collection[int] = ()) -> None:
        self._parser = parser
        self._units = units
        self._once = once
        self._preferred = preferred
        self._ends: dict[tuple[Pattern, int], list[int]] = {}
        self._meanings: dict[tuple[Node, str, Span | None, tuple[str, ...]], dict[Meaning, Cheapest]] = {}

    def sentence(self, wanted: tuple[str, ...]) -> dict[Meaning, Cheapest]:
        """The meanings of the whole sentence."""
        return self.meanings(self._parser.root, self._parser.side, (0, len(self._units)), wanted)

    def ends(self, pattern: Pattern, start: int) -> list[int]:
        """Where a phrase that starts at a place may end."""
        index = (pattern, start)
        found = self._ends.get(index)
        if found is None:
            ends = set()
            stack = [(pattern.start, start)]
            while stack:
                state, place = stack.pop()
                if state.whole is not None:
                    ends.add(place)
                for piece, following in state.open(self._units[place : place + 1]):
                    if not isinstance(piece, str):
                        stack += [(following, end) for end in self.ends(piece, place)]
                    elif self._units.startswith(piece, place):
                        stack.append((following, place + len(piece)))
            found = self._ends[index] = sorted(ends)
        return found

    def ways(self, node: Node, key: str, span: Span | None) -> Iterator[tuple[Alternative, list[Span]]]:
        """The alternatives of a node that may write a span, with the span of every mention of a part.

        Without a span, all of them: nothing is known of a part that only the other language mentions.
        """
        if span is None:
            yield from ((alternative, []) for alternative in node.alternatives)
            return
        reading = self._parser.patterns.reading(node, key)
        stack: list[tuple[State, int, list[Span]]] = [(reading.pattern.start, span[0], [])]
        while stack:
            state, place, spans = stack.pop()
            if place == span[1] and state.whole is not None:
                yield from ((alternative, spans) for alternative in reading.alternatives[state.whole])
            for piece, following in state.open(self._units[place : place + 1]):
                if not isinstance(piece, str):
                    ends = [end for end in self.ends(piece, place) if end <= span[1]]
                    stack += [(following, end, [*spans, (place, end)]) for end in ends]
                elif self._units.startswith(piece, place, span[1]):
                    stack.append((following, place + len(piece), spans))

    def meanings(self, node: Node, key: str, span: Span | None, wanted: tuple[str, ...]) -> dict[Meaning, Cheapest]:
        """The wanted outputs of those derivations of a node that write a span, each with the cheapest of them."""
        index = (node, key, span, wanted)
        found = self._meanings.get(index)
        if found is None:
            found = self._meanings[index] = {}
            for alternative, spans in self.ways(node, key, span):
                for meaning, cost, derivation in self._evaluate(alternative, key, spans, wanted):
                    if meaning not in found or found[meaning][0] > cost:
                        found[meaning] = (cost, derivation)
        return found

    def _evaluate(
        self, alternative: Alternative, key: str, spans: list[Span], wanted: tuple[str, ...]
    ) -> Iterator[tuple[Meaning, int, Derivation]]:
        group = self._parser.group(alternative.origin.group) if self._once else 0
        cost = int(id(alternative.origin) not in self._preferred)
        if not alternative.outputs:
            yield (group, tuple([alternative.words[each] for each in wanted])), cost, Derivation(alternative, ())
            return
        plan = self._parser.plan(alternative, key, wanted)
        partial: list[tuple[int, int, tuple[tuple[str, ...], ...], tuple[Derivation, ...]]] = [(group, cost, (), ())]
        for part in plan.parts:
            options = self.meanings(part.node, part.key, part.span(spans), part.wanted)
            partial = [
                (used | more, paid + price, (*texts, written), (*children, child))
                for (more, written), (price, child) in options.items()
                if self._agrees(part, written, spans)
                for used, paid, texts, children in partial
                if not used & more
            ]
        for used, paid, texts, children in partial:
            written = [
                "".join([piece if isinstance(piece, str) else texts[piece[0]][piece[1]] for piece in pieces])
                for pieces in plan.outputs
            ]
            yield (used, tuple(written)), paid, Derivation(alternative, children)

    def derivations(self, node: Node, key: str, span: Span | None) -> Iterator[tuple[object, Derivation]]:
        """The derivations that write a span, each with what tells it from others: its senses, rules and texts."""
        seen: set[object] = set()
        for alternative, spans in self.ways(node, key, span):
            options = [
                [
                    (signature, child)
                    for signature, child in self.derivations(part.node, part.key, part.span(spans))
                    if self._agrees(part, [outputs(child)[each] for each in part.wanted], spans)
                ]
                for part in self._parser.plan(alternative, key, ()).parts
            ]
            for chosen in product(*options):
                derivation = Derivation(alternative, tuple([child for _, child in chosen]))
                texts = tuple(outputs(derivation).values())
                signature = (id(alternative.origin), texts, tuple([each for each, _ in chosen]))
                if signature not in seen:
                    seen.add(signature)
                    yield signature, derivation

    def _agrees(self, part: Part, written: Collection[str], spans: list[Span]) -> bool:
        """Whether a child writes what the sentence has wherever it mentions it."""
        texts = list(written)
        return all(self._parser.patterns.units(texts[i]) == self._units[slice(*spans[place])] for i, place in part.checks)
