"""YAML that remembers where each value stands, so that an error can name file and line.

Every scalar is kept as text (`no` and `on` are words here, not truth values); whoever needs a number converts it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from translab.config import nearest


class PhrasebookError(ValueError):
    """A lexicon, a rule or a request is wrong; the message is one sentence that says where and what is allowed."""


@dataclass(frozen=True)
class Item:
    """A value of a data file and its place."""

    where: str
    value: str | list[Item] | dict[str, Item]

    def error(self, message: str) -> PhrasebookError:
        """An error whose sentence starts with this item's file and line."""
        return PhrasebookError(f"{self.where}: {message}")

    def text(self) -> str:
        """The value, which must be text."""
        if not isinstance(self.value, str):
            raise self.error("expected text here, found a list or a mapping.")
        return self.value

    def number(self) -> float:
        """The value, which must be a number above zero."""
        try:
            number = float(self.text())
        except ValueError:
            raise self.error(f"expected a number, found `{self.text()}`.") from None
        if not 0 < number < float("inf"):
            raise self.error(f"expected a number above 0, found `{self.text()}`.")
        return number

    def whole(self) -> int:
        """The value, which must be a whole number of 0 or more."""
        if not self.text().isdecimal():
            raise self.error(f"expected a whole number of 0 or more, found `{self.text()}`.")
        return int(self.text())

    def items(self) -> list[Item]:
        """The value, which must be a list."""
        if not isinstance(self.value, list):
            raise self.error("expected a list here.")
        return self.value

    def variants(self) -> list[Item]:
        """The value and its variants: a list that is not empty, or the one value that stands in its place."""
        if isinstance(self.value, list) and not self.value:
            raise self.error("expected at least one variant here.")
        return self.value if isinstance(self.value, list) else [self]

    def words(self) -> list[str]:
        """The value, which must be words separated by spaces, or a list of them."""
        if isinstance(self.value, str):
            return self.value.split()
        return [item.text() for item in self.items()]

    def entries(self) -> dict[str, Item]:
        """The value, which must be a mapping."""
        if not isinstance(self.value, dict):
            raise self.error("expected a mapping (`key: value`) here.")
        return self.value

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Item]:
        """The value, which must be a mapping with all the required keys and none that is not known."""
        entries = self.entries()
        for key, item in entries.items():
            if key not in required and key not in optional:
                raise item.error(f"`{key}` is not known here.{nearest(key, sorted({*required, *optional}))}")
        for key in required:
            if key not in entries:
                raise self.error(f"`{key}` is missing.")
        return entries


def read(path: Path) -> Item:
    """Read one data file."""
    try:
        node = YAML(typ="safe").compose(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PhrasebookError(f"{path.name}: there is no such file in {path.parent}.") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        message = f"{path.name}:{line}: this is not YAML; look for a bracket, a quote or a colon that is too many or missing."
        raise PhrasebookError(message) from None
    if node is None:
        raise PhrasebookError(f"{path.name}:1: the file is empty.")
    return _item(node, path.name)


def _item(node: Node, file: str) -> Item:
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, ScalarNode):
        return Item(where, str(node.value))
    if isinstance(node, SequenceNode):
        return Item(where, [_item(child, file) for child in node.value])
    assert isinstance(node, MappingNode)
    entries: dict[str, Item] = {}
    for key, child in node.value:
        if not isinstance(key, ScalarNode):
            raise PhrasebookError(f"{where}: a key must be a word.")
        if key.value in entries:
            raise PhrasebookError(f"{file}:{key.start_mark.line + 1}: `{key.value}` stands here a second time.")
        entries[key.value] = _item(child, file)
    return Item(where, entries)
