"""A table as rows of text; Markdown, HTML and the terminal only lay it out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int]
    """The columns that are set flush right."""

    def markdown(self) -> str:
        """A GitHub table."""
        rules = ["--:" if index in self.numbers else ":--" for index in range(len(self.columns))]
        rows = [self.columns, rules, *([cell.replace("|", "\\|") for cell in row] for row in self.rows)]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def terminal(self) -> str:
        """Aligned columns."""
        rows = [list(self.columns), *self.rows]
        widths = [max(_width(row[index]) for row in rows) for index in range(len(self.columns))]
        lines = ["  ".join(_pad(cell, widths[i], i in self.numbers) for i, cell in enumerate(row)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]]) + "\n"


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in cell)


def _pad(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def table(columns: Mapping[str, Sequence[str]], numbers: Sequence[str]) -> Table:
    """Build a table from its columns.

    Args:
        columns: title to cells.
        numbers: the titles of columns that are set flush right.
    """
    titles = list(columns)
    return Table(titles, list(zip(*columns.values(), strict=True)), frozenset(titles.index(title) for title in numbers))
