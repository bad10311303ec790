"""Datasets of the Hugging Face hub, or of a local folder laid out like one, at a pinned commit.

`datasets` resolves the configuration and its splits, fetches, and reads Parquet, Arrow and JSON. Comma- and tab-separated files
it only resolves and fetches: its reader merges lines at a quotation mark and turns `NA` into nothing, so they are read here.
Datasets that need a script of their own cannot be loaded any more; point a `url` entry at their files instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets

from translab import config
from translab.corpora.readers import CorpusError, Row, read_csv, read_part, row_of

ROWS = 10_000


def read_hub(entry: config.HubCorpus, cache: Path) -> Iterator[Row]:
    """The rows of a hub dataset, split by split in the order of the entry."""
    where = f"{entry.dataset} at {entry.revision}"
    local = Path(entry.dataset).is_dir()
    try:
        builder = datasets.load_dataset_builder(
            entry.dataset,
            entry.configuration,
            # A local folder has no commits; a commit handed to it would be read as a branch of its own.
            revision=None if local else entry.revision,
            cache_dir=str(cache),
        )
        separated = type(builder).__module__.endswith(".csv")
        if separated:
            manager = datasets.DownloadManager()
            known = {
                str(split): list(zip(names, manager.download(list(names)), strict=True))
                for split, names in builder.config.data_files.items()
            }
        else:
            builder.download_and_prepare()
            known = {str(split): [] for split in builder.info.splits or ()}
    except Exception as error:  # whatever the library meets (network, layout, names) is one sentence to the user
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CorpusError(f"{where} cannot be loaded from the hub: {reason}") from error
    for ours, theirs in entry.splits.items():
        if theirs not in known:
            raise CorpusError(f"{where} has no split {theirs!r}; it has {', '.join(known)}.")
        if separated:
            for name, path in known[theirs]:
                yield from _read_separated(entry.columns, str(name), Path(path), ours)
        else:
            yield from _read_split(entry.columns, builder.as_dataset(split=theirs), ours, f"{entry.dataset} {theirs}")


def _read_separated(columns: config.Columns, name: str, path: Path, split: str | None) -> Iterator[Row]:
    if not name.endswith(".tsv"):
        yield from read_csv(path, name, columns, split)
        return
    part = config.TsvPart(
        format="tsv",
        split=split,
        file=name,
        source=columns.source,
        target=columns.target,
        group=columns.group,
        tag=columns.tag,
    )
    yield from read_part(part, lambda _: path)


def _read_split(columns: config.Columns, data: Any, split: str | None, where: str) -> Iterator[Row]:
    wanted = [column for column in (columns.source, columns.target, columns.group, columns.tag) if column is not None]
    tops = {column.partition(".")[0] for column in wanted}
    data = data.select_columns([name for name in data.column_names if name in tops]).with_format("arrow")
    number = 0
    for batch in data.iter(ROWS):
        for record in batch.to_pylist():
            number += 1
            yield row_of(record, columns.source, columns.target, columns.group, columns.tag, split, f"{where} row {number}")
