"""A grammar small enough to be written out in full, with one of each thing that a parser can stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from translab.corpora.phrasebook import Phrasebook
from translab.corpora.phrasebook.derivations import Derivation, repeats
from translab.corpora.phrasebook.grammar import Node

TASKS = """\
small:
  definitions: definitions.yaml
  lexicon: words.yaml
  rules: rules.yaml
  start: Sentence
  depth: 1
  shortest: 2
  longest: 20
  longer: {depth: 1, longest: 20}
"""
DEFINITIONS = """\
features:
  form: {kind: value, weights: {base: 1, past: 1, singular: 1, plural: 1}}
  class: {kind: is, weights: {person: 1, animal: 1, tool: 1}}
  object: {kind: takes}
classes:
  any: ""
  living: any
  person: living
  animal: living
  tool: any
words:
  Noun:
    features: class
    fields: classifier
    forms: {singular: {en: base, zh: "{}"}, plural: {en: plural, zh: "{}"}}
    once: yes
  Mass: {features: "", fields: measure container, once: yes}
  Pronoun: {features: "", fields: object, once: yes}
  Number: {features: "", fields: "", once: no}
  Adjective: {features: "", fields: "", once: yes}
  Verb: {features: object, fields: "", forms: {base: {en: base, zh: "{}"}, past: {en: past, zh: "{}了"}}, once: yes}
  Modal: {features: "", fields: "", once: yes}
  Time: {features: "", fields: "", once: yes}
tables: {}
symbols: {Sentence: "", NP: class, Nominal: class, When: "", This: ""}
articles: {vowel: [hour], consonant: [university]}
"""
WORDS = """\
Noun:
  - {en: man, plural: men, zh: 男人, classifier: 个, class: person}
  - {en: actor, zh: 演员, classifier: 位, class: person}
  - {en: dog, zh: 狗, classifier: 只, class: animal}
  - {en: bat, zh: 蝙蝠, classifier: 只, class: animal}
  - {en: bat, zh: 球棒, classifier: 根, class: tool}
  - {en: root, zh: 根, classifier: 个, class: tool}
Mass:
  - {en: tea, zh: 茶, measure: 杯, container: cup}
  - {en: water, zh: 水, measure: 瓶, container: bottle}
Pronoun:
  - {en: I, object: me, zh: 我, group: first}
  - {en: we, object: us, zh: 我们, group: first}
  - {en: you, object: you, zh: 你, group: second}
Number:
  - {en: two, zh: 两}
  - {en: three, zh: 三}
Adjective:
  - {en: old, zh: 老}
  - {en: small, zh: 小}
Verb:
  - {en: see, past: saw, zh: 看见, object: any}
  - {en: follow, zh: 跟踪, object: living}
Modal:
  - {en: should, zh: 应该}
Time:
  - {en: yesterday, zh: 昨天}
  - {en: tonight, zh: [今晚, 今天晚上]}
"""
RULES = """\
- {for: Sentence, weight: 1, parts: {who: NP class=person, did: Verb form=past object=$o, what: NP class=$o, when: When}, en: "{who} {did} {what} {when}.", zh: ["{who}{when}{did}{what}。", "{when}{who}{did}{what}。"]}
- {for: Sentence, weight: 1, parts: {who: NP class=person, did: Verb form=base object=$o, what: NP class=$o}, en: "{who} did not {did} {what}.", zh: "{who}没{did}{what}。"}
- {for: Sentence, weight: 1, group: first, parts: {do: Verb form=base object=$o, what: NP class=$o}, en: "let us {do} {what}!", zh: "我们{do}{what}吧！"}
- {for: Sentence, weight: 1, parts: {who: Pronoun, whom: Pronoun, do: Verb form=base object=any}, en: "{who} {do} {whom.object}.", zh: "{who}{do}{whom}。"}
- {for: Sentence, weight: 1, parts: {do: Verb form=base object=any, tea: Mass}, en: "{do} a {tea.container} of {tea}!", zh: "{do}一{tea.measure}{tea}！"}
- {for: Sentence, weight: 1, parts: {noun: Noun class=any form=singular, how: Adjective}, en: "this {noun} is {how}, but that one is not.", zh: "这{noun.classifier}{noun}{how}，但是那{noun.classifier}不{how}。"}
- {for: Sentence, weight: 1, parts: {this: This, how: Adjective}, en: "{this} is {how}.", zh: "{this}{how}。"}
- {for: This, weight: 1, parts: {noun: Noun class=any form=singular}, en: "this", zh: "这{noun.classifier}", also: {classifier: "{noun.classifier}"}}
- {for: Sentence, weight: 1, parts: {who: Pronoun, modal: Modal, tea: Mass, do: Verb form=base object=any}, en: "{who} {modal} {do} {tea}.", zh: "{who}{modal}{do}{tea}。"}
- {for: Sentence, weight: 1, parts: {who: Pronoun, tea: Mass, do: Verb form=base object=any}, en: "{who} should not {do} {tea}.", zh: "{who}不应该{do}{tea}。"}
- {for: Sentence, weight: 1, parts: {time: Time, who: NP class=person, tea: Mass, did: Verb form=past object=any}, en: "{time} {who} {did} {tea}.", zh: "{time}{who}{did}{tea}。"}
- {for: Sentence, weight: 1, parts: {who: NP class=person, did: Verb form=past object=any, tea: Mass, when: When}, en: "{who} {did} {tea} {when}.", zh: "{who}{when}{did}{tea}。"}
- {for: When, weight: 1, en: "", zh: ""}
- {for: When, weight: 1, parts: {time: Time}, en: "{time}", zh: "{time}"}
- {for: NP class=$c, weight: 1, parts: {noun: Nominal class=$c}, en: "a {noun}", zh: "一{noun.classifier}{noun}"}
- {for: NP class=$c, weight: 1, parts: {noun: Nominal class=$c}, en: "the {noun}", zh: "那{noun.classifier}{noun}"}
- {for: NP class=$c, weight: 1, parts: {number: Number, noun: Noun class=$c form=plural}, en: "{number} {noun}", zh: "{number}{noun.classifier}{noun}"}
- {for: NP class=$c, deeper: yes, weight: 1, parts: {did: Verb form=base object=$o, noun: Noun class=$c&$o form=singular, who: Pronoun}, en: "the {noun} that {who} {did}", zh: "{who}{did}的那{noun.classifier}{noun}"}
- {for: Nominal class=$c, weight: 1, parts: {noun: Noun class=$c form=singular}, en: "{noun}", zh: "{noun}", also: {classifier: "{noun.classifier}"}}
- {for: Nominal class=$c, weight: 1, parts: {how: Adjective, noun: Noun class=$c form=singular}, en: "{how} {noun}", zh: "{how}{noun}", also: {classifier: "{noun.classifier}"}}
"""  # noqa: E501 (one rule a line, as in the data files)


def small_phrasebook(folder: Path) -> Phrasebook:
    """The phrasebook of this grammar, written to a folder."""
    for name, text in {"tasks": TASKS, "definitions": DEFINITIONS, "words": WORDS, "rules": RULES}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Phrasebook("small", folder)


def all_derivations(node: Node) -> Iterator[Derivation]:
    """Every derivation of a node that the sampler may draw."""
    return (derivation for derivation in _all(node) if not repeats(derivation))


def _all(node: Node) -> Iterator[Derivation]:
    for alternative in node.alternatives:
        for children in product(*([*_all(child)] for child in alternative.children)):
            yield Derivation(alternative, children)
