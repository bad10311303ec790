"""What rules and words may refer to: features, semantic classes, word classes, tables of function words, symbols.

A *feature* has a kind, which says when a value that is asked for and a value that is offered go together:
`value` (they are equal), `is` (what is offered is of the class asked for: an apple is food), `takes` (what is offered accepts
the class asked for: who eats food eats apples).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from translab.config import nearest
from translab.corpora.phrasebook.english import INFLECTIONS
from translab.corpora.phrasebook.reading import Item

KINDS = ("value", "is", "takes")


@dataclass(frozen=True)
class Feature:
    """A feature of words and of symbols; `weights` are its values and how often each is chosen where nothing decides."""

    kind: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Form:
    """A form of a word: an English inflection (by agreement, where that matters) and a Chinese frame around the word."""

    english: str | Mapping[str, str]
    chinese: str


@dataclass(frozen=True)
class WordClass:
    """What the senses of a class must and may say."""

    features: tuple[str, ...]
    fields: tuple[str, ...]
    forms: Mapping[str, Form]
    defaults: Mapping[str, str]
    once: bool = field(metadata={"description": "a sense occurs at most once in a sentence"})

    @cached_property
    def request(self) -> tuple[str, ...]:
        """The features by which a rule asks for a word of this class."""
        inflected = ("form",) if self.forms else ()
        agreeing = ("agreement",) if any(not isinstance(form.english, str) for form in self.forms.values()) else ()
        return (*self.features, *(name for name in (*inflected, *agreeing) if name not in self.features))


@dataclass(frozen=True)
class Table:
    """Function words that follow a feature: `be` by agreement is am, are or is."""

    english: Mapping[str, str]
    chinese: Mapping[str, str]


@dataclass
class Definitions:
    """What rules and senses may refer to."""

    features: dict[str, Feature]
    classes: dict[str, frozenset[str]] = field(metadata={"description": "each class with all that lie above it and itself"})
    words: dict[str, WordClass]
    tables: dict[str, Table]
    symbols: dict[str, tuple[str, ...]]
    vowel_sounds: frozenset[str]
    consonant_sounds: frozenset[str]

    def agree(self, feature: str, asked: str, offered: str) -> bool:
        """Whether the value asked for and the value offered go together."""
        kind = self.features[feature].kind
        if kind == "is":
            return asked in self.classes[offered]
        if kind == "takes":
            return offered in self.classes[asked]
        return asked == offered

    def check_value(self, feature: str, value: str, item: Item) -> str:
        """The value, if the feature may have it."""
        known = self.features[feature].weights if self.features[feature].kind == "value" else self.classes
        if value not in known:
            raise item.error(f"`{value}` is not a value of {feature}.{nearest(value, sorted(known))}")
        return value


def read_definitions(item: Item) -> Definitions:
    """Read `definitions.yaml`."""
    parts = item.fields(("features", "classes", "words", "tables", "symbols", "articles"))
    definitions = Definitions({}, {}, {}, {}, {}, frozenset(), frozenset())
    for name, entry in parts["features"].entries().items():
        definitions.features[name] = _feature(entry)
    definitions.classes = _classes(parts["classes"].entries())
    for name, entry in parts["features"].entries().items():
        for value in definitions.features[name].weights:
            definitions.check_value(name, value, entry)
    for name, entry in parts["words"].entries().items():
        definitions.words[name] = _word_class(definitions, entry)
    for name, entry in parts["tables"].entries().items():
        table = entry.fields(("feature",), ("en", "zh"))
        feature = _known_feature(definitions, table["feature"].text(), table["feature"])
        definitions.tables[name] = Table(*(_side(definitions, feature, table.get(side)) for side in ("en", "zh")))
    for name, entry in parts["symbols"].entries().items():
        if name in definitions.words:
            raise entry.error(f"{name} is a word class already; give the symbol another name.")
        definitions.symbols[name] = tuple(_known_feature(definitions, feature, entry) for feature in entry.words())
    articles = parts["articles"].fields(("vowel", "consonant"))
    definitions.vowel_sounds = frozenset(articles["vowel"].words())
    definitions.consonant_sounds = frozenset(articles["consonant"].words())
    return definitions


def _classes(entries: Mapping[str, Item]) -> dict[str, frozenset[str]]:
    parents = {name: entry.words() for name, entry in entries.items()}
    closed: dict[str, frozenset[str]] = {}

    def above(name: str, below: tuple[str, ...]) -> frozenset[str]:
        if name in below:
            raise entries[name].error(f"class {name} lies below itself.")
        if name not in closed:
            for parent in parents[name]:
                if parent not in parents:
                    message = f"class {name} lies below `{parent}`, which is not a class.{nearest(parent, sorted(parents))}"
                    raise entries[name].error(message)
            closed[name] = frozenset({name}).union(*(above(parent, (*below, name)) for parent in parents[name]))
        return closed[name]

    return {name: above(name, ()) for name in parents}


def _feature(entry: Item) -> Feature:
    parts = entry.fields(("kind",), ("weights",))
    kind = parts["kind"].text()
    if kind not in KINDS:
        raise parts["kind"].error(f"`{kind}` is not a kind of feature; allowed are {', '.join(KINDS)}.")
    weights = {name: value.number() for name, value in parts["weights"].entries().items()} if "weights" in parts else {}
    return Feature(kind, weights)


def _side(definitions: Definitions, feature: str, entry: Item | None) -> dict[str, str]:
    entries = entry.entries() if entry else {}
    return {definitions.check_value(feature, name, value): value.text() for name, value in entries.items()}


def _known_feature(definitions: Definitions, name: str, item: Item) -> str:
    if name not in definitions.features:
        raise item.error(f"{name} is not a feature.{nearest(name, sorted(definitions.features))}")
    return name


def _word_class(definitions: Definitions, entry: Item) -> WordClass:
    parts = entry.fields(("features", "fields", "once"), ("forms", "defaults"))
    features = tuple(_known_feature(definitions, name, parts["features"]) for name in parts["features"].words())
    forms = {}
    for name, value in parts["forms"].entries().items() if "forms" in parts else ():
        definitions.check_value(_known_feature(definitions, "form", value), name, value)
        sides = value.fields(("en", "zh"))
        forms[name] = Form(_inflections(definitions, sides["en"]), sides["zh"].text())
    defaults = {name: value.text() for name, value in parts["defaults"].entries().items()} if "defaults" in parts else {}
    if parts["once"].text() not in ("yes", "no"):
        raise parts["once"].error(f"expected yes or no, found `{parts['once'].text()}`.")
    return WordClass(features, tuple(parts["fields"].words()), forms, defaults, parts["once"].text() == "yes")


def _inflections(definitions: Definitions, item: Item) -> str | dict[str, str]:
    if isinstance(item.value, str):
        return _inflection(item.text(), item)
    known = definitions.features[_known_feature(definitions, "agreement", item)].weights
    entries = item.entries().items()
    inflections = {agreement: _inflection(name, values) for name, values in entries for agreement in values.words()}
    if inflections.keys() != known.keys():
        raise item.error(f"the values of agreement here are {', '.join(inflections)}; all are needed: {', '.join(known)}.")
    return inflections


def _inflection(name: str, item: Item) -> str:
    if name not in INFLECTIONS:
        raise item.error(f"`{name}` is not an English inflection.{nearest(name, sorted(INFLECTIONS))}")
    return name
