"""The vocabulary: which words may stand for a part of a rule, and in which form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.lexicon import Sense
from translab.corpora.phrasebook.parts import Environment, Part, Term


class Vocabulary:
    """The senses of one task, by word class."""

    def __init__(self, definitions: Definitions, senses: list[Sense]) -> None:
        self._definitions = definitions
        self._senses: dict[str, list[Sense]] = {name: [] for name in definitions.words}
        for sense in senses:
            self._senses[sense.word_class].append(sense)
        self._matches: dict[tuple[object, ...], set[int]] = {}

    def words(
        self, part: Part, environment: Environment
    ) -> Iterator[tuple[Environment, list[Sense], Mapping[str, str], float]]:
        """The senses that fit, by the values that they give to variables which are not bound yet.

        Yields:
            those values, the senses, the form asked for (form and agreement), and the weight of this choice.
        """
        word_class = self._definitions.words[part.symbol]
        inflected = [feature for feature in word_class.request if feature not in word_class.features]
        unbound = {
            variable: feature
            for feature in word_class.features
            for variable in part.term(feature).variables
            if variable not in environment
        }
        groups: dict[tuple[str, ...], list[Sense]] = {}
        for sense in self._fitting(part, environment):
            offers = [self._offers(sense, feature, part.term(feature)) for feature in unbound.values()]
            for values in product(*offers):
                groups.setdefault(values, []).append(sense)
        for form in product(*(part.choice(self._definitions, feature, environment) for feature in inflected)):
            request = {feature: value for feature, (value, _) in zip(inflected, form, strict=True)}
            if word_class.forms and request["form"] not in word_class.forms:
                continue
            agreed = {variable: value for feature, value in request.items() for variable in part.term(feature).variables}
            for values, senses in groups.items():
                bound = agreed | dict(zip(unbound, values, strict=True))
                yield bound, senses, request, prod(weight for _, weight in form) * len(senses)

    def _fitting(self, part: Part, environment: Environment) -> list[Sense]:
        """The senses that agree with every bound variable and with one constant of every term."""
        senses = self._senses[part.symbol]
        fitting = set(range(len(senses)))
        for feature in self._definitions.words[part.symbol].features:
            term = part.term(feature)
            asked = [(environment[variable],) for variable in term.variables if variable in environment]
            for values in (*asked, term.constants) if term.constants else asked:
                fitting &= self._matching(part.symbol, feature, values)
        return [senses[number] for number in sorted(fitting)]

    def _matching(self, word_class: str, feature: str, values: tuple[str, ...]) -> set[int]:
        key = (word_class, feature, values)
        if key not in self._matches:
            term = Term((), values)
            self._matches[key] = {
                number for number, sense in enumerate(self._senses[word_class]) if self._offers(sense, feature, term)
            }
        return self._matches[key]

    def _offers(self, sense: Sense, feature: str, term: Term) -> list[str]:
        """What a sense offers for a feature, of what a term's constants allow."""
        agree = self._definitions.agree
        return [
            offered
            for offered in sense.features[feature]
            if not term.constants or any(agree(feature, value, offered) for value in term.constants)
        ]
