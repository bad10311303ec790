"""Sentence pairs as rows, which tests write, and as tables, which the code takes."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from translab.corpora.readers import SCHEMA, Row


def table(rows: Iterable[Row]) -> pa.Table:
    """The rows as a table."""
    return pa.Table.from_pylist([row._asdict() for row in rows], schema=SCHEMA)


def rows(pairs: pa.Table) -> list[Row]:
    """The table's rows, without keys."""
    return [Row(**row) for row in pairs.select(SCHEMA.names).to_pylist()]
