"""The rules of the grammar: a symbol, its parts, and how both languages put the parts in order.

A rule reads `for: VP form=$f subject=$s`, `parts: {verb: Transitive form=$f subject=$s object=$o, what: NP class=$o}`,
`en: "{verb} {what}"`, `zh: "{verb}{what}"`. A variable is bound by the symbol that the rule is for, else by the first part that
mentions it. In a template `{what}` is a part's own side, `{what.classifier}` one of its fields, `{be:$a}` a table's entry for a
feature's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from translab.config import nearest
from translab.corpora.phrasebook.definitions import Definitions
from translab.corpora.phrasebook.parts import Part, read_part
from translab.corpora.phrasebook.reading import Item

OTHER = {"en": {"zh"}, "zh": {"en"}}
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
        for slot in (piece for pieces in rule.outputs.values() for piece in pieces if isinstance(piece, Slot)):
            part = rule.parts[slot.part]
            if part.symbol in definitions.words:
                if slot.key not in ("en", "zh", *definitions.words[part.symbol].fields):
                    raise Item(rule.where, "").error(f"words of class {part.symbol} have no field `{slot.key}`.")
                continue
            for other in made[part.symbol]:
                if slot.key not in other.outputs:
                    message = f"{{{part.name}.{slot.key}}} needs a field that the rule at {other.where} does not give."
                    raise Item(rule.where, "").error(message)


def _rule(definitions: Definitions, entry: Item) -> Rule:
    fields = entry.fields(("for", "weight", "en", "zh"), ("construction", "deeper", "group", "parts", "also"))
    head = read_part(definitions, "for", fields["for"])
    if head.symbol not in definitions.symbols:
        raise fields["for"].error(f"{head.symbol} is a word class; rules are for symbols.")
    entries = fields["parts"].entries() if "parts" in fields else {}
    parts = [read_part(definitions, name, item) for name, item in entries.items()]
    variables = {variable for part in (head, *parts) for term in part.terms.values() for variable in term.variables}
    templates = {"en": fields["en"], "zh": fields["zh"], **(fields["also"].entries() if "also" in fields else {})}
    outputs = {key: _pieces(definitions, key, item, parts, variables) for key, item in templates.items()}
    for side, language in (("en", "English"), ("zh", "Chinese")):
        used = {piece.part for key in {side, *outputs} - OTHER[side] for piece in outputs[key] if isinstance(piece, Slot)}
        for number, part in enumerate(parts):
            if number not in used:
                raise templates[side].error(f"part {part.name} does not occur on the {language} side.")
    if "deeper" in fields and fields["deeper"].text() != "yes":
        raise fields["deeper"].error("`deeper` can only be yes; leave it out otherwise.")
    construction = fields["construction"].text() if "construction" in fields else None
    group = fields["group"].text() if "group" in fields else None
    return Rule(head, construction, fields["weight"].number(), "deeper" in fields, group, tuple(parts), outputs, entry.where)


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
            side = definitions.tables[table].chinese if key == "zh" else definitions.tables[table].english
            pieces.append(Lookup(side, variable, item.where))
        else:
            name, _, field = text.partition(".")
            if name not in numbers:
                raise item.error(f"{{{text}}} is not a part of this rule.{nearest(name, sorted(numbers))}")
            default = "zh" if key == "zh" else "en"
            pieces.append(Slot(numbers[name], field or default))
    return tuple(pieces)
