"""The phrasebook refuses data files that are wrong, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_phrasebook import PROBE, write
from translab.corpora.phrasebook import Phrasebook, PhrasebookError

BROKEN = {
    "a noun without a classifier": (
        {"words": (", classifier: 本", "")},
        "words.yaml:3: this Noun has no classifier; a Noun needs en, zh, class, classifier.",
    ),
    "a sense without its Chinese side": (
        {"words": ("zh: 吃, ", "")},
        "words.yaml:6: this Verb has no zh; a Verb needs en, zh, object.",
    ),
    "an empty side": (
        {"words": ("zh: 吃", 'zh: ""')},
        "words.yaml:6: the Chinese side must be Chinese characters, found ``.",
    ),
    "a Chinese side that is not Chinese": (
        {"words": ("zh: 书", "zh: shu")},
        "words.yaml:3: the Chinese side must be Chinese characters, found `shu`.",
    ),
    "an English side that is not ASCII": (
        {"words": ("en: letter", "en: café")},
        "words.yaml:4: the English side must be ASCII text, found `café`.",
    ),
    "a sense that is written twice": (
        {"words": ("Verb:", "  - {en: book, zh: 书, classifier: 本, class: text}\nVerb:")},
        "words.yaml:5: the sense book/书 of Noun stands at words.yaml:3 already; remove one of them.",
    ),
    "a field that is not known": (
        {"words": ("classifier: 本", "classifier: 本, plurall: books")},
        "words.yaml:3: `plurall` is not known here. Did you mean `plural`?",
    ),
    "a class that is not known": (
        {"words": ("classifier: 本, class: text", "classifier: 本, class: texts")},
        "words.yaml:3: `texts` is not a value of class. Did you mean `text`?",
    ),
    "a word class that is not known": (
        {"words": ("Verb:", "Verbs:")},
        "words.yaml:6: Verbs is not a word class. Did you mean `Verb`?",
    ),
    "a sense that no rule reaches": (
        {"words": ("class: food}", "class: thing}\n  - {en: pear, zh: 梨, classifier: 个, class: food}")},
        "words.yaml:2: in task small no sentence uses the sense apple/苹果 of Noun.",
    ),
    "a rule that nothing reaches": (
        {
            "definitions": ("symbols: {", 'symbols: {AP: "", '),
            "rules": ("- {for: Sentence", "- {for: AP, weight: 1, en: very, zh: 很}\n- {for: Sentence"),
        },
        "rules.yaml:1: in task small no sentence uses this rule for AP.",
    ),
    "a symbol that is not known": (
        {"rules": ("what: NP", "what: MP")},
        "rules.yaml:1: MP is neither a symbol nor a word class. Did you mean `NP`?",
    ),
    "a symbol without a rule": (
        {"definitions": ("symbols: {", 'symbols: {AP: "", '), "rules": ("{noun: Noun class=$c form=singular}", "{noun: AP}")},
        "rules.yaml:2: there is no rule for AP, which part noun needs.",
    ),
    "a feature that a symbol does not have": (
        {"rules": ("for: NP class=$c", "for: Sentence class=$c")},
        "rules.yaml:2: Sentence has no feature class.",
    ),
    "a rule for a word class": (
        {"rules": ("for: NP class=$c", "for: Noun class=$c")},
        "rules.yaml:2: Noun is a word class; rules are for symbols.",
    ),
    "a part that is left out of the template": (
        {"rules": ('zh: "{do}{what}。"', 'zh: "{do}。"')},
        "rules.yaml:1: part what does not occur on the Chinese side.",
    ),
    "a place that no part fills": (
        {"rules": ('en: "{do} {what}."', 'en: "{do} {whom}{what}."')},
        "rules.yaml:1: {whom} is not a part of this rule. Did you mean `what`?",
    ),
    "a brace without a partner": (
        {"rules": ('zh: "那些{noun}"', 'zh: "那些{noun}}"')},
        "rules.yaml:3: a brace in `那些{noun}}` has no partner.",
    ),
    "a field that words do not have": (
        {"rules": ("{noun.classifier}", "{noun.measure}")},
        "rules.yaml:2: words of class Noun have no field `measure`.",
    ),
    "a field that rules do not give": (
        {"rules": ('zh: "{do}{what}。"', 'zh: "{do}{what.classifier}{what}。"')},
        "rules.yaml:1: {what.classifier} needs a field that the rule at rules.yaml:2 does not give.",
    ),
    "a table that does not exist": (
        {"rules": ('en: "{do} {what}."', 'en: "{do} {be:$o} {what}."')},
        "rules.yaml:1: be is not a table.",
    ),
    "a variable in a template that nothing binds": (
        {
            "rules": ('en: "{do} {what}."', 'en: "{do} {be:$x} {what}."'),
            "definitions": ("tables: {}", "tables: {be: {feature: class, en: {food: is}}}"),
        },
        "rules.yaml:1: nothing binds $x.",
    ),
    "a table without the entry": (
        {
            "rules": ('en: "{do} {what}."', 'en: "{do} {be:$o} {what}."'),
            "definitions": ("tables: {}", "tables: {be: {feature: class, en: {food: is}}}"),
        },
        "rules.yaml:1: the table has no entry for text, the value of $o.",
    ),
    "a feature that is left open": (
        {"rules": ("what: NP class=$o", "what: NP")},
        "rules.yaml:1: part what leaves class open, which has no weights; give it a value.",
    ),
    "a value that a feature does not have": (
        {"rules": ("form=plural", "form=plurals")},
        "rules.yaml:3: `plurals` is not a value of form. Did you mean `plural`?",
    ),
    "a weight that is no number": (
        {"rules": ("- {for: Sentence, weight: 1", "- {for: Sentence, weight: many")},
        "rules.yaml:1: expected a number, found `many`.",
    ),
    "recursion without end": (
        {
            "rules": (
                'parts: {noun: Noun class=$c form=plural}, en: "the {noun}", zh: "那些{noun}"',
                'parts: {what: NP class=$c}, en: "the {what}", zh: "那些{what}"',
            )
        },
        "rules.yaml:2: NP contains itself without end; mark a rule on the way as `deeper: yes`.",
    ),
    "a class below itself": (
        {"definitions": ('thing: ""', "thing: food")},
        "definitions.yaml:6: class thing lies below itself.",
    ),
    "an inflection that does not exist": (
        {"definitions": ("en: plural", "en: plurals")},
        "definitions.yaml:13: `plurals` is not an English inflection. Did you mean `plural`?",
    ),
    "a key that is written twice": (
        {"words": ("zh: 书", "zh: 书, en: book")},
        "words.yaml:3: `en` stands here a second time.",
    ),
    "a file that is not YAML": (
        {"words": ("{en: book", "{en: book: ")},
        "words.yaml:3: this is not YAML; look for a bracket, a quote or a colon that is too many or missing.",
    ),
    "a start without a rule": (
        {"tasks": ("start: Sentence", "start: Sentences")},
        "tasks.yaml:5: there is no rule for Sentences.",
    ),
    "a start with features": (
        {"tasks": ("start: Sentence", "start: NP")},
        "tasks.yaml:5: NP has features; a sentence can have none.",
    ),
    "irregular Chinese beside variants": (
        {"words": ("zh: 书", "zh: [书, 本子], zh-plural: 书们")},
        "words.yaml:3: a sense with irregular Chinese forms (`zh-plural`) has one Chinese side, found 2.",
    ),
    "a list without a variant": (
        {"words": ("zh: 书", "zh: []")},
        "words.yaml:3: expected at least one variant here.",
    ),
    "a variant that is another sense": (
        {
            "words": (
                "zh: 信, classifier: 封, class: text}",
                "zh: 信, classifier: 封, class: text}\n  - {en: letter, zh: [函, 信], classifier: 封, class: text}",
            )
        },
        "words.yaml:5: the sense letter/信 of Noun stands at words.yaml:4 already; remove one of them.",
    ),
    "a part that one variant leaves out": (
        {"rules": ('zh: "那些{noun}"', 'zh: ["那些{noun}", "那些"]')},
        "rules.yaml:3: part noun does not occur on the Chinese side.",
    ),
    "a head that is no part": (
        {"rules": ("construction: plural", "construction: plural, head: nuon")},
        "rules.yaml:3: nuon is not a part of this rule. Did you mean `noun`?",
    ),
    "a mark of what is no part": (
        {"rules": ("construction: plural", "construction: plural, mark: {word: verb}")},
        "rules.yaml:3: verb is not a part of this rule. Known are: noun.",
    ),
    "a probe whose symbol no rule makes": (
        {"tasks": ("longest: 12}", "longest: 12}\n  probes: {choice: Choice}")},
        "tasks.yaml:10: there is no rule for Choice.",
    ),
    "a probe without a twin": (
        {**PROBE, "rules": (PROBE["rules"][0], PROBE["rules"][1].replace("twin-zh:", "twin:"))},
        "rules.yaml:1: a rule for the probe Choice writes a twin and needs `twin-zh` in `also`.",
    ),
    "a task that says nothing of longer sentences": (
        {"tasks": ("  longer: {depth: 1, longest: 12}\n", "")},
        "tasks.yaml:2: `longer` is missing.",
    ),
    "a depth below zero": (
        {"tasks": ("depth: 1", "depth: -1")},
        "tasks.yaml:6: expected a whole number of 0 or more, found `-1`.",
    ),
}


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_a_wrong_data_file_is_refused_with_file_and_line(fault: str, tmp_path: Path) -> None:
    changes, message = BROKEN[fault]
    with pytest.raises(PhrasebookError) as error:
        Phrasebook("small", write(tmp_path, **changes))
    assert str(error.value) == message


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, tasks=("rules: rules.yaml", "rules: rule.yaml"))
    with pytest.raises(PhrasebookError) as error:
        Phrasebook("small", tmp_path)
    assert str(error.value) == f"rule.yaml: there is no such file in {tmp_path}."
