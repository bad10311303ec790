"""A small phrasebook, written to a folder whole or with something changed."""

from __future__ import annotations

from pathlib import Path

TASKS_FILE = """\
small:
  definitions: definitions.yaml
  lexicon: words.yaml
  rules: rules.yaml
  start: Sentence
  depth: 1
  shortest: 2
  longest: 9
  longer: {depth: 1, longest: 12}
"""
DEFINITIONS_FILE = """\
features:
  form: {kind: value, weights: {singular: 1, plural: 1}}
  class: {kind: is}
  object: {kind: takes}
classes:
  thing: ""
  food: thing
  text: thing
words:
  Noun:
    features: class
    fields: classifier
    forms: {singular: {en: base, zh: "{}"}, plural: {en: plural, zh: "{}"}}
    once: yes
  Verb: {features: object, fields: "", once: yes}
tables: {}
symbols: {Sentence: "", NP: class}
articles: {vowel: [hour], consonant: [university]}
"""
WORDS_FILE = """\
Noun:
  - {en: apple, zh: 苹果, classifier: 个, class: food}
  - {en: book, zh: 书, classifier: 本, class: text}
  - {en: letter, zh: 信, classifier: 封, class: text}
Verb:
  - {en: eat, zh: 吃, object: food}
  - {en: read, zh: 看, object: text}
"""
RULES_FILE = """\
- {for: Sentence, weight: 1, construction: command, parts: {do: Verb object=$o, what: NP class=$o}, en: "{do} {what}.", zh: "{do}{what}。"}
- {for: NP class=$c, weight: 1, parts: {noun: Noun class=$c form=singular}, en: "a {noun}", zh: "一{noun.classifier}{noun}"}
- {for: NP class=$c, weight: 1, construction: plural, parts: {noun: Noun class=$c form=plural}, en: "the {noun}", zh: "那些{noun}"}
"""  # noqa: E501 (one rule a line, so that an error names it)
ALL_SMALL_PAIRS = {
    ("Eat an apple.", "吃一个苹果。"),
    ("Eat the apples.", "吃那些苹果。"),
    ("Read a book.", "看一本书。"),
    ("Read the books.", "看那些书。"),
    ("Read a letter.", "看一封信。"),
    ("Read the letters.", "看那些信。"),
}


PROBE_RULE = """\
- for: Choice
  weight: 1
  parts: {do: Verb object=$o, one: Noun class=$o form=singular, other: Noun class=$o form=singular}
  en: "{do} a {one}."
  zh: "{do}一{one.classifier}{one}。"
  also: {twin-en: "{do} a {other}.", twin-zh: "{do}一{other.classifier}{other}。"}
  mark: {verb: do, word: one}
  twin-mark: {verb: do, word: other}
"""
PROBE = {
    "tasks": ("longest: 12}", "longest: 12}\n  probes: {choice: Choice}"),
    "definitions": ("symbols: {", 'symbols: {Choice: "", '),
    "rules": ("- {for: Sentence", f"{PROBE_RULE}- {{for: Sentence"),
}
"""Changes that add a probe, whose rule is the first: a book or a letter."""


def write(folder: Path, **changes: tuple[str, str]) -> Path:
    """The small grammar above, with a text in some of its files replaced by another."""
    files = {"tasks": TASKS_FILE, "definitions": DEFINITIONS_FILE, "words": WORDS_FILE, "rules": RULES_FILE}
    for name, (old, new) in changes.items():
        assert old in files[name], old
        files[name] = files[name].replace(old, new)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder
