"""The grammar: rules and lexicon joined into a graph of nodes, from which derivations are drawn.

A *node* is a symbol (or a word class) with a value for each of its features and the depth that is left; its *alternatives* are
the rules (or senses) that fit, with every variable bound. Features are thus resolved once, when the graph is built, and what is
left is a plain context-free grammar, from which drawing needs no backtracking. A rule marked `deeper` costs one unit of depth.
What a context-free grammar cannot say (a sense occurs once in a sentence) is left to the sampler.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, product
from math import prod

from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.lexicon import Sense, realise
from translab.corpora.phrasebook.parts import Choice, Environment, Part
from translab.corpora.phrasebook.reading import Item
from translab.corpora.phrasebook.rules import Lookup, Rule, Slot
from translab.corpora.phrasebook.vocabulary import Vocabulary

Outputs = dict[str, str]
"""The sides of a phrase (`en`, `zh`) and its fields."""


@dataclass
class Alternative:
    """One way to make a node: a sense in its form, or a rule with a node for each part."""

    origin: Rule | Sense
    children: list[Node]
    outputs: list[tuple[str, list[str | tuple[int, str]]]]
    words: Outputs
    weight: float


@dataclass
class Node:
    """A symbol with a value for each feature, at a depth; `weights` are the running sums of its alternatives' weights."""

    alternatives: list[Alternative] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


@dataclass
class Trace:
    """What a derivation was made of, in the order in which it was made, and how probable it was."""

    constructions: list[str] = field(default_factory=list)
    senses: list[Sense] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    depth: int = 0
    probability: float = 1.0


class Grammar:
    """All derivations of one task."""

    def __init__(self, definitions: Definitions, senses: list[Sense], rules: list[Rule], start: str, depth: int) -> None:
        self._definitions = definitions
        self._vocabulary = Vocabulary(definitions, senses)
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.head.symbol, []).append(rule)
        self._nodes: dict[tuple[object, ...], Node | None] = {}
        self._made: dict[tuple[object, ...], list[tuple[Environment, Node, float]]] = {}
        self.root = self._symbol(start, (), depth)

    def draw(self, generator: random.Random) -> tuple[Outputs, Trace]:
        """A derivation, by the rules' weights."""
        trace = Trace()
        return _draw(self.root, generator, trace, 0), trace

    def used(self) -> set[int]:
        """The identities (`id`) of the rules and senses that take part in at least one derivation."""
        used: set[int] = set()
        seen: set[int] = set()
        stack = [self.root]
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            for alternative in node.alternatives:
                used.add(id(alternative.origin))
                stack += alternative.children
        return used

    def _symbol(self, symbol: str, values: tuple[str, ...], depth: int) -> Node:
        key = (symbol, values, depth)
        if key in self._nodes:
            node = self._nodes[key]
            if node is None:
                raise Item(self._rules[symbol][0].where, "").error(
                    f"{symbol} contains itself without end; mark a rule on the way as `deeper: yes`."
                )
            return node
        self._nodes[key] = None
        node = Node()
        names = self._definitions.symbols[symbol]
        for rule in self._rules[symbol]:
            environment = self._bind(rule, dict(zip(names, values, strict=True)))
            if environment is None or (rule.deeper and not depth):
                continue
            below = depth - 1 if rule.deeper else depth
            found = list(self._alternatives(rule, environment, below))
            total = sum(alternative.weight for alternative in found)
            for alternative in found:
                alternative.weight *= rule.weight / total
            node.alternatives += found
        self._nodes[key] = _cumulate(node)
        return node

    def _bind(self, rule: Rule, values: Mapping[str, str]) -> Environment | None:
        """The values of the variables of a rule's head; nothing if the rule does not fit what is asked for."""
        environment: dict[str, str] = {}
        for feature, term in rule.head.terms.items():
            asked = values[feature]
            if term.constants and not any(self._definitions.agree(feature, asked, constant) for constant in term.constants):
                return None
            for variable in term.variables:
                if environment.setdefault(variable, asked) != asked:
                    return None
        return environment

    def _alternatives(self, rule: Rule, environment: Environment, depth: int) -> Iterator[Alternative]:
        for bound, children, weight in self._children(rule.parts, environment, depth):
            outputs = []
            for key, pieces in rule.outputs.items():
                resolved: list[str | tuple[int, str]] = []
                for piece in pieces:
                    if isinstance(piece, Slot):
                        resolved.append((piece.part, piece.key))
                    else:
                        resolved.append(_look_up(piece, bound) if isinstance(piece, Lookup) else piece)
                outputs.append((key, resolved))
            yield Alternative(rule, children, outputs, {}, weight)

    def _children(
        self, parts: tuple[Part, ...], environment: Environment, depth: int
    ) -> Iterator[tuple[Environment, list[Node], float]]:
        if not parts:
            yield environment, [], 1.0
            return
        part = parts[0]
        key = (id(part), part.known(environment), depth)
        if key not in self._made:
            make = self._words if part.symbol in self._definitions.words else self._mentions
            self._made[key] = [made for made in make(part, environment, depth) if made[1].alternatives]
        for bound, node, weight in self._made[key]:
            for final, nodes, rest in self._children(parts[1:], {**environment, **bound}, depth):
                yield final, [node, *nodes], weight * rest

    def _words(self, part: Part, environment: Environment, depth: int) -> Iterator[tuple[Environment, Node, float]]:
        for bound, senses, request, weight in self._vocabulary.words(part, environment):
            key = ("word", tuple(id(sense) for sense in senses), tuple(request.items()))
            node = self._nodes.get(key)
            if node is None:
                forms = [(sense, realise(self._definitions, sense, request)) for sense in senses]
                node = _cumulate(Node([Alternative(sense, [], [], words, 1.0) for sense, words in forms]))
                self._nodes[key] = node
            yield bound, node, weight

    def _mentions(self, part: Part, environment: Environment, depth: int) -> Iterator[tuple[Environment, Node, float]]:
        """The nodes that a symbol may be; values that no variable carries to the rest of the rule are mixed in one node."""
        names = self._definitions.symbols[part.symbol]
        terms = [part.term(feature) for feature in names]
        choices = [part.choice(self._definitions, feature, environment) for feature in names]
        carried = [choice if term.variables else ((None, 1.0),) for term, choice in zip(terms, choices, strict=True)]
        for values in product(*carried):
            bound = {
                variable: value
                for term, (value, _) in zip(terms, values, strict=True)
                if value is not None
                for variable in term.variables
            }
            mixed = [choice if value is None else ((value, 1.0),) for choice, (value, _) in zip(choices, values, strict=True)]
            yield bound, self._mixture(part.symbol, tuple(mixed), depth), prod(weight for _, weight in values)

    def _mixture(self, symbol: str, choices: tuple[Choice, ...], depth: int) -> Node:
        key = ("mixture", symbol, choices, depth)
        node = self._nodes.get(key)
        if node is None:
            node = Node()
            for values in product(*choices):
                weight = prod(share for _, share in values)
                part = self._symbol(symbol, tuple(value for value, _ in values), depth)
                for each in part.alternatives:
                    node.alternatives.append(replace(each, weight=each.weight * weight / part.weights[-1]))
            self._nodes[key] = _cumulate(node)
        return node


def _cumulate(node: Node) -> Node:
    node.weights = list(accumulate(alternative.weight for alternative in node.alternatives))
    return node


def _look_up(piece: Lookup, environment: Environment) -> str:
    value = environment[piece.variable]
    if value not in piece.values:
        raise Item(piece.where, "").error(f"the table has no entry for {value}, the value of ${piece.variable}.")
    return piece.values[value]


def _draw(node: Node, generator: random.Random, trace: Trace, depth: int) -> Outputs:
    total = node.weights[-1]
    chosen = node.alternatives[bisect(node.weights, generator.random() * total, 0, len(node.weights) - 1)]
    trace.probability *= chosen.weight / total
    origin = chosen.origin
    if isinstance(origin, Sense):
        trace.senses.append(origin)
        return chosen.words
    if origin.construction is not None:
        trace.constructions.append(origin.construction)
    if origin.group is not None:
        trace.groups.append(origin.group)
    if origin.deeper:
        depth += 1
        trace.depth = max(trace.depth, depth)
    parts = [_draw(child, generator, trace, depth) for child in chosen.children]
    return {
        key: "".join([piece if isinstance(piece, str) else parts[piece[0]][piece[1]] for piece in pieces])
        for key, pieces in chosen.outputs
    }
