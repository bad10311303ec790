"""The rules of the grammar: a symbol, its parts, and how both languages put the parts in order.

A rule reads `for: VP form=$f subject=$s`, `parts: {verb: Transitive form=$f subject=$s object=$o, what: NP class=$o}`,
`en: "{verb} {what}"`, `zh: "{verb}{what}"`. A variable is bound by the symbol that the rule is for, else by the first part that
mentions it. In a template `{what}` is a part's own side, `{what.classifier}` one of its fields, `{be:$a}` a table's entry for a
feature's value. `zh` may be a list of variants, all of them right and drawn with equal probability. `head` names the part that
stands for the whole where that is not the one with its class or form; `mark` names parts whose places in the English sentence a
probe asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.parts import Part, read_part
from translab.corpora.phrasebook.reading import Item

ENGLISH = ("en", "twin-en")
"""Outputs that are English for certain; a field such as a classifier may serve either language."""
PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Slot:
    """A place in a template that a part fills."""

    part: int
    key: str


@dataclass(frozen=True)
class Lookup:
    """A place in a template that a table fills."""

    values: Mapping[str, str]
    variable: str
    where: str


Piece = str | Slot | Lookup


@dataclass(frozen=True)
class Rule:
    """One way to make a symbol."""

    head: Part
    construction: str | None
    weight: float
    deeper: bool
    group: str | None = field(metadata={"description": "senses of this group cannot occur: `let us` speaks of `us` already"})
    parts: tuple[Part, ...]
    outputs: Mapping[str, tuple[Piece, ...]]
    variants: tuple[tuple[Piece, ...], ...] = field(metadata={"description": "Chinese sides; the first is among the outputs"})
    head_part: int | None = field(metadata={"description": "the part that represents the whole; none, if there are no parts"})
    dependents: tuple[tuple[int, int], ...] = field(metadata={"description": "parts of which the first selects the second"})
    marks: Mapping[str, Mapping[str, int]] = field(metadata={"description": "by output, parts whose places a probe asks for"})
    where: str


def read_rules(definitions: Definitions, item: Item) -> list[Rule]:
    """Read a file of rules."""
    return [_rule(definitions, entry) for entry in item.items()]


def check_rules(definitions: Definitions, rules: list[Rule]) -> None:
    """Refuse a part that no rule makes, and a field that not every rule for its symbol (or its word class) gives."""
    made: dict[str, list[Rule]] = {}
    for rule in rules:
        made.setdefault(rule.head.symbol, []).append(rule)
    for rule in rules:
        for part in rule.parts:
            if part.symbol in definitions.symbols and part.symbol not in made:
                raise Item(rule.where, "").error(f"there is no rule for {part.symbol}, which part {part.name} needs.")
        templates = (*rule.outputs.values(), *rule.variants)
        for slot in (piece for pieces in templates for piece in pieces if isinstance(piece, Slot)):
            part = rule.parts[slot.part]
            if part.symbol in definitions.words:
                if slot.key not in ("en", "zh", *definitions.words[part.symbol].fields):
                    raise Item(rule.where, "").error(f"words of class {part.symbol} have no field `{slot.key}`.")
                continue
            for other in made[part.symbol]:
                if slot.key not in other.outputs:
                    message = f"{{{part.name}.{slot.key}}} needs a field that the rule at {other.where} does not give."
                    raise Item(rule.where, "").error(message)


def check_twins(probe: str, rules: list[Rule]) -> None:
    """Refuse a rule for a probe that does not write the other item of its twin."""
    for rule in rules:
        for key in ("twin-en", "twin-zh"):
            if rule.head.symbol == probe and key not in rule.outputs:
                raise Item(rule.where, "").error(f"a rule for the probe {probe} writes a twin and needs `{key}` in `also`.")


def is_chinese_key(key: str) -> bool:
    """Whether an output is Chinese: `zh`, and the sides of a probe that end so."""
    return key.endswith("zh")


def _rule(definitions: Definitions, entry: Item) -> Rule:
    optional = ("construction", "deeper", "group", "parts", "also", "mark", "twin-mark", "head")
    fields = entry.fields(("for", "weight", "en", "zh"), optional)
    head = read_part(definitions, "for", fields["for"])
    if head.symbol not in definitions.symbols:
        raise fields["for"].error(f"{head.symbol} is a word class; rules are for symbols.")
    entries = fields["parts"].entries() if "parts" in fields else {}
    parts = [read_part(definitions, name, item) for name, item in entries.items()]
    variables = {variable for part in (head, *parts) for term in part.terms.values() for variable in term.variables}
    variants = [_pieces(definitions, "zh", item, parts, variables) for item in fields["zh"].variants()]
    others = {"en": fields["en"], **(fields["also"].entries() if "also" in fields else {})}
    outputs = {key: _pieces(definitions, key, item, parts, variables) for key, item in others.items()} | {"zh": variants[0]}
    _check_parts(fields, parts, outputs, variants)
    if "deeper" in fields and fields["deeper"].text() != "yes":
        raise fields["deeper"].error("`deeper` can only be yes; leave it out otherwise.")
    construction = fields["construction"].text() if "construction" in fields else None
    group = fields["group"].text() if "group" in fields else None
    marks = {key: fields[name] for key, name in (("en", "mark"), ("twin-en", "twin-mark")) if name in fields}
    return Rule(
        head,
        construction,
        fields["weight"].number(),
        "deeper" in fields,
        group,
        tuple(parts),
        outputs,
        tuple(variants),
        _number(parts, fields["head"]) if "head" in fields else _head_part(head, parts),
        _dependents(definitions, parts),
        {key: {name: _number(parts, part) for name, part in item.entries().items()} for key, item in marks.items()},
        entry.where,
    )


def _check_parts(
    fields: Mapping[str, Item],
    parts: list[Part],
    outputs: Mapping[str, tuple[Piece, ...]],
    variants: list[tuple[Piece, ...]],
) -> None:
    """Refuse a part that one of the languages leaves out: each occurs on that side, in each variant of it, or in a field."""
    english = [pieces for key, pieces in outputs.items() if key != "en" and not is_chinese_key(key)]
    chinese = [pieces for key, pieces in outputs.items() if key not in ("zh", *ENGLISH)]
    sides = [("English", fields["en"], [outputs["en"], *english])]
    for item, variant in zip(fields["zh"].variants(), variants, strict=True):
        sides.append(("Chinese", item, [variant, *chinese]))
    for language, item, templates in sides:
        used = {piece.part for pieces in templates for piece in pieces if isinstance(piece, Slot)}
        for number, part in enumerate(parts):
            if number not in used:
                raise item.error(f"part {part.name} does not occur on the {language} side.")


def _number(parts: list[Part], item: Item) -> int:
    names = [part.name for part in parts]
    if item.text() not in names:
        raise item.error(f"{item.text()} is not a part of this rule.{nearest(item.text(), sorted(names))}")
    return names.index(item.text())


def _head_part(head: Part, parts: list[Part]) -> int | None:
    """The part that shares a class, else a form, with what the rule is for; else the first."""
    for feature in ("class", "form"):
        shared = set(head.term(feature).variables)
        for number, part in enumerate(parts):
            if shared & set(part.term(feature).variables):
                return number
    return 0 if parts else None


def _dependents(definitions: Definitions, parts: list[Part]) -> tuple[tuple[int, int], ...]:
    """Pairs of parts that share a variable of a semantic class, which the first asks for and the second is of (or both are)."""
    found = []
    for first, second in permutations(range(len(parts)), 2):
        for taking in ("takes", "is"):
            shared = _variables(definitions, parts[first], taking) & _variables(definitions, parts[second], "is")
            if shared and (taking == "takes" or first < second):
                found.append((first, second))
                break
    return tuple(found)


def _variables(definitions: Definitions, part: Part, kind: str) -> set[str]:
    terms = [term for feature, term in part.terms.items() if definitions.features[feature].kind == kind]
    return {variable for term in terms for variable in term.variables}


def _pieces(definitions: Definitions, key: str, item: Item, parts: list[Part], variables: set[str]) -> tuple[Piece, ...]:
    numbers = {part.name: number for number, part in enumerate(parts)}
    pieces: list[Piece] = []
    for number, text in enumerate(PLACE.split(item.text())):
        if number % 2 == 0:
            if "{" in text or "}" in text:
                raise item.error(f"a brace in `{item.text()}` has no partner.")
            if text:
                pieces.append(text)
        elif ":$" in text:
            table, _, variable = text.partition(":$")
            if table not in definitions.tables:
                raise item.error(f"{table} is not a table.{nearest(table, sorted(definitions.tables))}")
            if variable not in variables:
                raise item.error(f"nothing binds ${variable}.")
            side = definitions.tables[table].chinese if is_chinese_key(key) else definitions.tables[table].english
            pieces.append(Lookup(side, variable, item.where))
        else:
            name, _, field = text.partition(".")
            if name not in numbers:
                raise item.error(f"{{{text}}} is not a part of this rule.{nearest(name, sorted(numbers))}")
            default = "zh" if is_chinese_key(key) else "en"
            pieces.append(Slot(numbers[name], field or default))
    return tuple(pieces)
