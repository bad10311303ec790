"""The grammar: rules and lexicon joined into a graph of nodes, from which derivations are drawn.

A *node* is a symbol (or a word class) with a value for each of its features and the depth that is left; its *alternatives* are
the rules (or senses) that fit, with every variable bound. Features are thus resolved once, when the graph is built, and what is
left is a plain context-free grammar, from which drawing needs no backtracking. A rule marked `deeper` costs one unit of depth.
What a context-free grammar cannot say (a sense occurs once in a sentence) is left to the sampler.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, product
from math import prod

from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.derivations import Derivation
from translab.corpora.phrasebook.lexicon import Sense, realise
from translab.corpora.phrasebook.parts import Choice, Environment, Part
from translab.corpora.phrasebook.reading import Item
from translab.corpora.phrasebook.rules import Lookup, Piece, Rule, Slot
from translab.corpora.phrasebook.vocabulary import Vocabulary

Outputs = dict[str, str]
"""The sides of a phrase (`en`, `zh`) and its fields."""
Template = list[str | tuple[int, str]]
"""An output: texts, and places for an output (its key) of a part (its number)."""


@dataclass(eq=False)
class Alternative:
    """One way to make a node: a sense in its form, or a rule with a node for each part; `weight` is its probability there."""

    origin: Rule | Sense
    children: list[Node]
    outputs: list[tuple[str, Template]]
    words: Outputs
    weight: float


@dataclass(eq=False)
class Node:
    """A symbol with a value for each feature, at a depth; `weights` are the running sums of its alternatives' weights."""

    alternatives: list[Alternative] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


class Grammar:
    """All derivations of one task."""

    def __init__(self, definitions: Definitions, senses: list[Sense], rules: list[Rule], start: str, depth: int) -> None:
        self._definitions = definitions
        self._vocabulary = Vocabulary(definitions, senses)
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.head.symbol, []).append(rule)
        self._nesting = _nesting(self._rules)
        self._nodes: dict[tuple[object, ...], Node | None] = {}
        self._fixed: dict[int, Template] = {}
        self._bound: dict[tuple[str, tuple[str, ...]], list[tuple[Rule, Environment]]] = {}
        self._made: dict[tuple[object, ...], list[tuple[Environment, Node, float]]] = {}
        self.root = self.symbol(start, depth)

    def symbol(self, name: str, depth: int) -> Node:
        """The node of a symbol without features."""
        return self._symbol(name, (), depth)

    def draw(self, generator: random.Random, node: Node) -> Derivation:
        """A derivation, by the rules' weights."""
        return _draw(node, generator)

    def used(self, nodes: Collection[Node]) -> set[int]:
        """The identities (`id`) of the rules and senses that take part in at least one derivation of the nodes."""
        used: set[int] = set()
        seen: set[int] = set()
        stack = list(nodes)
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
        for rule, environment in self._fitting(symbol, values):
            if rule.deeper and not depth:
                continue
            below = depth - 1 if rule.deeper else depth
            found = list(self._alternatives(rule, environment, below))
            total = sum(alternative.weight for alternative in found)
            for alternative in found:
                alternative.weight *= rule.weight / total
            node.alternatives += found
        self._nodes[key] = _cumulate(node)
        return node

    def _fitting(self, symbol: str, values: tuple[str, ...]) -> list[tuple[Rule, Environment]]:
        """The rules that fit what is asked for, with the values of the variables of their heads."""
        if (symbol, values) not in self._bound:
            asked = dict(zip(self._definitions.symbols[symbol], values, strict=True))
            bound = [(rule, self._bind(rule, asked)) for rule in self._rules[symbol]]
            self._bound[symbol, values] = [(rule, environment) for rule, environment in bound if environment is not None]
        return self._bound[symbol, values]

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
            fields = [(key, self._resolve(pieces, bound)) for key, pieces in rule.outputs.items() if key != "zh"]
            for variant in rule.variants:
                outputs = [*fields, ("zh", self._resolve(variant, bound))]
                yield Alternative(rule, children, outputs, {}, weight / len(rule.variants))

    def _resolve(self, pieces: tuple[Piece, ...], environment: Environment) -> Template:
        """A template whose tables are looked up; without tables it is the same in every environment."""
        if id(pieces) in self._fixed:
            return self._fixed[id(pieces)]
        resolved: Template = []
        for piece in pieces:
            if isinstance(piece, Slot):
                resolved.append((piece.part, piece.key))
            else:
                resolved.append(_look_up(piece, environment) if isinstance(piece, Lookup) else piece)
        if not any(isinstance(piece, Lookup) for piece in pieces):
            self._fixed[id(pieces)] = resolved
        return resolved

    def _children(
        self, parts: tuple[Part, ...], environment: Environment, depth: int
    ) -> Iterator[tuple[Environment, list[Node], float]]:
        if not parts:
            yield environment, [], 1.0
            return
        part = parts[0]
        left = depth if part.symbol in self._nesting else 0
        key = (part.signature, part.known(environment), left)
        if key not in self._made:
            made = self._mentions(part, environment, left) if part.symbol in self._rules else self._words(part, environment)
            self._made[key] = [each for each in made if each[1].alternatives]
        for bound, node, weight in self._made[key]:
            following = {**environment, **bound} if bound else environment
            for final, nodes, rest in self._children(parts[1:], following, depth):
                yield final, [node, *nodes], weight * rest

    def _words(self, part: Part, environment: Environment) -> Iterator[tuple[Environment, Node, float]]:
        for bound, senses, request, weight in self._vocabulary.words(part, environment):
            key = ("word", tuple(id(sense) for sense in senses), tuple(request.items()))
            node = self._nodes.get(key)
            if node is None:
                forms = [
                    Alternative(sense, [], [], words, 1 / len(sense.variants))
                    for sense in senses
                    for words in realise(self._definitions, sense, request)
                ]
                node = _cumulate(Node(forms))
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
        if all(len(choice) == 1 for choice in choices):
            return self._symbol(symbol, tuple(choice[0][0] for choice in choices), depth)
        key = ("mixture", symbol, choices, depth)
        node = self._nodes.get(key)
        if node is None:
            node = Node()
            for values in product(*choices):
                weight = prod(share for _, share in values)
                part = self._symbol(symbol, tuple(value for value, _ in values), depth)
                for each in part.alternatives:
                    node.alternatives.append(replace(each, weight=each.weight * weight))
            self._nodes[key] = _cumulate(node)
        return node


def _nesting(rules: Mapping[str, list[Rule]]) -> set[str]:
    """The symbols that may contain a rule marked `deeper`, on whose nodes the depth therefore matters."""
    nesting = {symbol for symbol, each in rules.items() if any(rule.deeper for rule in each)}
    size = 0
    while size < len(nesting):
        size = len(nesting)
        for symbol, each in rules.items():
            if any(part.symbol in nesting for rule in each for part in rule.parts):
                nesting.add(symbol)
    return nesting


def _cumulate(node: Node) -> Node:
    total = sum(alternative.weight for alternative in node.alternatives)
    for alternative in node.alternatives:
        alternative.weight /= total
    node.weights = list(accumulate(alternative.weight for alternative in node.alternatives))
    return node


def _look_up(piece: Lookup, environment: Environment) -> str:
    value = environment[piece.variable]
    if value not in piece.values:
        raise Item(piece.where, "").error(f"the table has no entry for {value}, the value of ${piece.variable}.")
    return piece.values[value]


def _draw(node: Node, generator: random.Random) -> Derivation:
    chosen = node.alternatives[bisect(node.weights, generator.random() * node.weights[-1], 0, len(node.weights) - 1)]
    return Derivation(chosen, tuple([_draw(child, generator) for child in chosen.children]))
