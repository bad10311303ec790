"""A corpus, wherever it comes from → one folder: `pairs.parquet`, `manifest.json`, of a phrasebook also `intrinsic/`.

Four kinds of source (`corpora.yaml`): `hub` (a dataset of the Hugging Face hub at a pinned commit), `url` (files fetched and
checked), `files` (on this machine), `phrasebook` (generated). All give the same table, one row a pair:

    source, target   the two sentences, exactly as the source gives them
    group            pairs of one group stay in one split; the two items of a probe's twin (null: none is given)
    tag              what probes select by, JSON where it comes from the phrasebook (null: none is given)
    split            the published split (null: the corpus has none); `probe-<name>` for the items of a probe
    wrong            a probe's wrong translation of the source (null: there is none)
    translations     every right translation of the source, the target among them (null: they are not known)
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from translab import config
from translab.corpora.intrinsic import write_intrinsic
from translab.corpora.readers import SCHEMA, CorpusError, Row, read_part
from translab.corpora.splitting import normalised
from translab.files import sha256, whole, write_json

ROWS = 50_000
"""Rows that are held in memory at once."""
LOOKED_AT = 1000
"""Rows whose script is compared with the declared languages."""
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
WRITTEN_IN_HAN = ("zh", "ja", "ko")


def fetch_corpus(name: str, entry: config.AnyCorpus, folder: Path, cache: Path) -> dict[str, Any]:
    """Write a corpus's pairs and manifest.

    Args:
        name: its name in corpora.yaml.
        entry: its entry.
        folder: where the files are written, whole or not at all.
        cache: folder of what was fetched, kept so that a broken fetch goes on where it stopped.

    Returns:
        the manifest.
    """
    hashes: dict[str, str] = {}
    sentences: set[str] = set()
    generated: dict[str, str | None] = {"phrasebook": None, "grammar": None}
    match entry:
        case config.UrlCorpus():
            rows = _from_web(entry, cache / "downloads", hashes)
            # What a query holds may be a token; the hash says which file it is.
            source: Any = {file: download.url.partition("?")[0] for file, download in entry.downloads.items()}
        case config.FilesCorpus():
            rows = _from_files(name, entry, hashes)
            source = sorted(_named_files(entry))
        case config.HubCorpus():
            from translab.corpora.hub import read_hub  # `datasets` is slow to import

            rows = read_hub(entry, cache / "datasets")
            source = entry.dataset
        case config.PhrasebookCorpus():
            rows = _generated(entry, sentences)
            source = "phrasebook"
            generated = {"phrasebook": entry.task, "grammar": _grammar(entry)}
    with whole(folder) as temporary:
        temporary.mkdir()
        counts = _write(temporary / "pairs.parquet", _in_declared_languages(name, entry, rows))
        if not counts.total():
            raise CorpusError(f"corpora.yaml: {name} holds no sentence pair; look at its files and columns.")
        hashes["pairs.parquet"] = sha256(temporary / "pairs.parquet")
        if isinstance(entry, config.PhrasebookCorpus) and entry.intrinsic is not None:
            sizes = (entry.intrinsic.sense_occurrences, entry.intrinsic.topic_sentences)
            for path in write_intrinsic(temporary, entry.task, sizes, entry.seed, sentences):
                hashes[path.relative_to(temporary).as_posix()] = sha256(path)
        published = {split: count for split, count in counts.items() if split is not None}
        manifest = {
            "corpus": name,
            "kind": entry.kind,
            "source": source,
            "revision": entry.revision if isinstance(entry, config.HubCorpus) else None,
            **generated,
            "sha256": hashes,
            "licence": entry.licence,
            "attribution": entry.attribution,
            "source_language": entry.source_language,
            "target_language": entry.target_language,
            "pairs": counts.total(),
            "splits": published or None,
        }
        write_json(temporary / "manifest.json", manifest)
    return manifest


def _from_web(entry: config.UrlCorpus, cache: Path, hashes: dict[str, str]) -> Iterator[Row]:
    from translab.corpora.fetching import fetch  # only this kind of source needs a client

    paths = {file: fetch(download.url, download.sha256, file, cache) for file, download in entry.downloads.items()}
    hashes.update({file: download.sha256 for file, download in entry.downloads.items()})

    def locate(file: str) -> Path:
        if file not in paths:
            raise CorpusError(f"corpora.yaml: {file!r} is not one of the entry's downloads; they are {', '.join(paths)}.")
        return paths[file]

    for part in entry.parts:
        yield from read_part(part, locate)


def _from_files(name: str, entry: config.FilesCorpus, hashes: dict[str, str]) -> Iterator[Row]:
    for file in sorted(_named_files(entry)):
        if os.path.isfile(file):  # a missing file is named where it is opened
            hashes[file] = sha256(file)
    for file, declared in (entry.sha256 or {}).items():
        if hashes.get(file) != declared:
            raise CorpusError(
                f"corpora.yaml: {name}: {file} has sha256 {hashes.get(file)}, declared is {declared}; "
                "declare the new hash if the change is meant."
            )
    for part in entry.parts:
        yield from read_part(part, Path)


def _named_files(entry: config.FilesCorpus) -> set[str]:
    files = set()
    for part in entry.parts:
        if part.archive is not None:
            files.add(part.archive)
        elif isinstance(part, config.LinesPart):
            files |= {part.source, part.target}
        else:
            files.add(part.file)
    return files


def _generated(entry: config.PhrasebookCorpus, sentences: set[str]) -> Iterator[Row]:
    """The rows; their normalised sources are added to `sentences`."""
    from translab.corpora.phrasebook import corpus  # reads its lexicon

    for made in corpus(entry.task, entry.sizes.model_dump(), entry.probe_items, entry.seed):
        sentences.add(normalised(made.source))
        yield Row(made.source, made.target, made.group, made.tag, made.split, made.wrong, made.translations)


def _grammar(entry: config.PhrasebookCorpus) -> str:
    """Hash of the data files that the text is made from."""
    from translab.corpora.phrasebook import load

    return load(entry.task).digest


def _in_declared_languages(name: str, entry: config.AnyCorpus, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, if Chinese stands on no side that is declared to be something else, and would be cut and scored as that."""
    first = list(islice(rows, LOOKED_AT))
    for side in ("source", "target"):
        language = getattr(entry, f"{side}_language")
        chinese = sum(HAN.search(getattr(row, side)) is not None for row in first)
        if 2 * chinese > len(first) and language not in WRITTEN_IN_HAN:
            raise CorpusError(
                f"corpora.yaml: {name}: {side}_language is {language}, but {chinese:,} of the first {len(first):,} {side} "
                "sentences are Chinese; exchange the columns, or declare zh."
            )
    return chain(first, rows)


def _write(path: Path, rows: Iterator[Row]) -> Counter[str | None]:
    """Write rows in batches; returns the pairs of each published split."""
    counts: Counter[str | None] = Counter()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS)):
            counts.update(row.split for row in batch)
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            writer.write_table(pa.table(arrays, schema=SCHEMA))
    return counts
