"""What many runs have in common is made once: the sources, references and items that all of them were scored on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa

Made = TypeVar("Made")


class Shared:
    """Remembers what was last made of each test set's columns; other columns make it anew."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[pa.Table, Any]] = {}

    def made(self, name: str, columns: pa.Table, make: Callable[[], Made]) -> Made:
        """What `make` returns, or what it returned for equal columns of the same name.

        Args:
            name: of the test set or probe.
            columns: all that the result depends on.
            make: makes it.
        """
        if name in self._made and self._made[name][0].equals(columns):
            known: Made = self._made[name][1]
            return known
        made = make()
        self._made[name] = (columns, made)
        return made
