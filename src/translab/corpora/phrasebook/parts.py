"""The parts of a rule: a symbol or a word class, with terms for its features.

A *term* such as `$f&past|ever` says what value a feature has: every variable named, and one of the constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.reading import Item


@dataclass(frozen=True)
class Term:
    """What is said about the value of a feature: the variables it equals, and the constants it may be (none: any)."""

    variables: tuple[str, ...]
    constants: tuple[str, ...]


ANY = Term((), ())
Environment = Mapping[str, str]
"""The values of a rule's variables, as far as they are bound."""
Choice = tuple[tuple[str, float], ...]
"""The values that a feature may have, with their weights."""


@dataclass(frozen=True)
class Part:
    """A part of a rule: a symbol or a word class with terms for its features."""

    name: str
    symbol: str
    terms: Mapping[str, Term]
    where: str

    @cached_property
    def signature(self) -> tuple[object, ...]:
        """What the part is, whatever it is called and wherever it stands."""
        return self.symbol, *((feature, term.variables, term.constants) for feature, term in self.terms.items())

    @cached_property
    def _variables(self) -> tuple[str, ...]:
        return tuple(variable for term in self.terms.values() for variable in term.variables)

    def term(self, feature: str) -> Term:
        """What the part says about a feature."""
        return self.terms.get(feature, ANY)

    def known(self, environment: Environment) -> tuple[str | None, ...]:
        """The values of the part's variables; all that its nodes depend on."""
        return tuple(environment.get(variable) for variable in self._variables)

    def choice(self, definitions: Definitions, feature: str, environment: Environment) -> Choice:
        """The values that a feature of the part may have, with their weights."""
        term = self.term(feature)
        bound = {environment[variable] for variable in term.variables if variable in environment}
        if bound:
            allowed = [value for value in bound if not term.constants or value in term.constants]
            return tuple((value, 1.0) for value in allowed) if len(bound) == 1 else ()
        weights = definitions.features[feature].weights
        if term.constants:
            return tuple((value, weights.get(value, 1.0)) for value in term.constants)
        if not weights:
            message = f"part {self.name} leaves {feature} open, which has no weights; give it a value."
            raise Item(self.where, "").error(message)
        return tuple(weights.items())


def read_part(definitions: Definitions, name: str, item: Item) -> Part:
    """Read `NP class=$c position=subject`."""
    symbol, *rest = item.text().split()
    known = {**definitions.symbols, **{name: word.request for name, word in definitions.words.items()}}
    if symbol not in known:
        raise item.error(f"{symbol} is neither a symbol nor a word class.{nearest(symbol, sorted(known))}")
    terms = {}
    for text in rest:
        feature, equals, value = text.partition("=")
        if not equals or not value:
            raise item.error(f"expected feature=value, found `{text}`.")
        if feature not in known[symbol]:
            raise item.error(f"{symbol} has no feature {feature}.{nearest(feature, sorted(known[symbol]))}")
        terms[feature] = _term(definitions, feature, value, item)
    return Part(name, symbol, terms, item.where)


def _term(definitions: Definitions, feature: str, text: str, item: Item) -> Term:
    variables, constants = [], []
    for conjunct in text.split("&"):
        if conjunct.startswith("$"):
            variables.append(conjunct[1:])
        else:
            constants += [definitions.check_value(feature, value, item) for value in conjunct.split("|")]
    return Term(tuple(variables), tuple(constants))
