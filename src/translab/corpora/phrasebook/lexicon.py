"""The lexicon: senses of words, as the data files list them.

A *sense* is one meaning of a word: an English side, a Chinese side (a list, where translators write one or the other), and a
value for each feature of its word class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions, Form
from translab.corpora.phrasebook.english import INFLECTIONS
from translab.corpora.phrasebook.reading import Item


@dataclass(frozen=True)
class Sense:
    """One meaning of a word, with both sides."""

    word_class: str
    english: str
    variants: tuple[str, ...] = field(metadata={"description": "Chinese sides that a translator may use for one another"})
    features: Mapping[str, tuple[str, ...]]
    own: Mapping[str, str] = field(metadata={"description": "fields, and forms that are spelt irregularly"})
    group: str | None = field(metadata={"description": "senses of one group exclude each other in a sentence (I, we)"})
    where: str

    @property
    def chinese(self) -> str:
        """The first variant, which names the sense."""
        return self.variants[0]

    @property
    def name(self) -> str:
        """How tags name the sense."""
        return f"{self.english}/{self.chinese}"


def read_senses(definitions: Definitions, item: Item) -> list[Sense]:
    """Read a lexicon file: word classes, each with its senses."""
    senses = []
    for name, entries in item.entries().items():
        if name not in definitions.words:
            raise entries.error(f"{name} is not a word class.{nearest(name, sorted(definitions.words))}")
        senses += [_sense(definitions, name, entry) for entry in entries.items()]
    return senses


def check_duplicates(senses: list[Sense]) -> None:
    """Refuse a sense that is written twice."""
    seen: dict[tuple[object, ...], Sense] = {}
    for sense in senses:
        for variant in sense.variants:
            first = seen.setdefault((sense.word_class, sense.english, variant), sense)
            if first is not sense:
                name = f"{sense.english}/{variant}"
                message = f"the sense {name} of {sense.word_class} stands at {first.where} already; remove one of them."
                raise Item(sense.where, "").error(message)


def realise(definitions: Definitions, sense: Sense, request: Mapping[str, str]) -> list[dict[str, str]]:
    """Both sides of a sense in the form asked for, and its fields, once for each Chinese variant."""
    fields = {name: sense.own[name] for name in definitions.words[sense.word_class].fields}
    forms = definitions.words[sense.word_class].forms
    if not forms:
        return [{"en": sense.english, "zh": variant, **fields} for variant in sense.variants]
    form = forms[request["form"]]
    inflection = form.english if isinstance(form.english, str) else form.english[request["agreement"]]
    english = sense.own.get(inflection) or INFLECTIONS[inflection](sense.english)
    irregular = sense.own.get(f"zh-{request['form']}")
    return [{"en": english, "zh": irregular or form.chinese.replace("{}", variant), **fields} for variant in sense.variants]


def _sense(definitions: Definitions, name: str, entry: Item) -> Sense:
    word_class = definitions.words[name]
    needed = [key for key in (*word_class.features, *word_class.fields) if key not in word_class.defaults]
    inflections = {used for form in word_class.forms.values() for used in _used(form)} - {"base"}
    allowed = {*word_class.defaults, *inflections, *(f"zh-{form}" for form in word_class.forms), "group"}
    for key in ("en", "zh", *needed):
        if key not in entry.entries():
            raise entry.error(f"this {name} has no {key}; a {name} needs {', '.join(('en', 'zh', *needed))}.")
    entries = entry.fields(("en", "zh", *needed), allowed)
    _check_sides(entries)
    features = {}
    for feature in word_class.features:
        values = entries[feature].words() if feature in entries else word_class.defaults[feature].split()
        features[feature] = tuple(definitions.check_value(feature, value, entries.get(feature, entry)) for value in values)
    own = {key: value.text() for key, value in entries.items() if key not in features and key not in ("en", "zh", "group")}
    own |= {key: value for key, value in word_class.defaults.items() if key in word_class.fields and key not in own}
    english, variants = entries["en"].text(), tuple(variant.text() for variant in entries["zh"].variants())
    irregular = [key for key in own if key.startswith("zh-")]
    if irregular and len(variants) > 1:
        message = f"a sense with irregular Chinese forms (`{irregular[0]}`) has one Chinese side, found {len(variants)}."
        raise entries["zh"].error(message)
    group = entries["group"].text() if "group" in entries else f"{name} {english}/{variants[0]}"
    return Sense(name, english, variants, features, own, group if word_class.once else None, entry.where)


def _used(form: Form) -> list[str]:
    return [form.english] if isinstance(form.english, str) else list(form.english.values())


def _check_sides(entries: Mapping[str, Item]) -> None:
    english = entries["en"]
    if not english.text() or not english.text().isascii():
        raise english.error(f"the English side must be ASCII text, found `{english.text()}`.")
    for chinese in entries["zh"].variants():
        if not chinese.text() or not is_chinese(chinese.text()):
            raise chinese.error(f"the Chinese side must be Chinese characters, found `{chinese.text()}`.")


def is_chinese(text: str) -> bool:
    """Whether text is made of Chinese characters alone.

    >>> is_chinese("你好"), is_chinese("你好!")
    (True, False)
    """
    return all("一" <= character <= "鿿" for character in text)
