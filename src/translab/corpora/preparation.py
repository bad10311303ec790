"""Raw corpora of both tasks → clean, split, audited texts.

A and B are prepared together, because A must not hold what B is tested on: B is split first, then every pair of A that shares a
sentence with B's validation set, tests or probes is dropped, then A is split. Everything is written beside its place and
audited there; it takes its place only if the audit finds nothing.

A text is `train.parquet`, `valid.parquet`, `tests/test.parquet`, further tests and `probes/<name>.parquet`, all of the same
columns, and `languages.json`; a phrasebook's may have the tables of intrinsic.py, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from translab.config import Cleaning, ConfigError, Splitting
from translab.corpora.audit import audit_leakage, describe, read_splits
from translab.corpora.cleaning import PROBE, ROWS, Counts, clean
from translab.corpora.intrinsic import carry_intrinsic
from translab.corpora.splitting import Splits, keyed, published, split, without_held_out
from translab.files import read_json, whole, write_json, write_table

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("target", pa.string()),
        ("wrong", pa.string()),
        ("group", pa.string()),
        ("tag", pa.string()),
        ("translations", pa.list_(pa.string())),
    ]
)
"""What the columns mean stands in sources.py."""


def prepare(raw: dict[str, Path], text: Path, audit: Path, cleaning: Cleaning, splitting: Splitting) -> dict[str, Any]:
    """Prepare both tasks.

    Args:
        raw: folders of the raw corpora of `a` and `b`.
        text: folder in which the folders `a` and `b` are written.
        audit: file in which the audit is written.
        cleaning: bounds.
        splitting: sizes of the held-out sets of corpora without published splits.

    Returns:
        the audit.

    Raises:
        ConfigError: if a corpus is too small for the held-out sets, or nothing is left for one of its published splits.
        LeakageError: if a sentence crosses; nothing is written then.
    """
    manifests = {task: read_json(folder / "manifest.json") for task, folder in raw.items()}
    languages = {task: (manifest["source_language"], manifest["target_language"]) for task, manifest in manifests.items()}
    report: dict[str, Any] = {}
    splits: dict[str, Splits] = {}
    for task in ("b", "a"):
        with pq.ParquetFile(raw[task] / "pairs.parquet") as file:
            batches = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(ROWS))
            pairs, rules = clean(batches, languages[task], cleaning)
            count = file.metadata.num_rows
        pairs = keyed(pairs)
        if task == "a":
            pairs, dropped = without_held_out(pairs, languages["a"], splits["b"], languages["b"])
            rules["held_out_of_b"] = {"dropped": dropped}
        splits[task] = _split(pairs, manifests[task], splitting, rules)
        del pairs  # as large as the splits
        report[task] = {
            "corpus": manifests[task]["corpus"],
            "source_language": languages[task][0],
            "target_language": languages[task][1],
            "published_splits": _is_published(manifests[task]),
            "raw_pairs": count,
            "rules": rules,
            "kept_pairs": sum(map(len, splits[task].values())),
        }
    with whole(text / "a") as a, whole(text / "b") as b:
        folders = {"a": a, "b": b}
        intrinsic = {}
        for task, folder in folders.items():
            _write(folder, splits[task], manifests[task])
            intrinsic[task] = carry_intrinsic(raw[task], folder, task, cleaning.simplified_chinese, splits, languages)
        splits.clear()  # the audit reads what was written
        texts = {task: read_splits(folder) for task, folder in folders.items()}
        for task in folders:
            report[task] |= describe(texts[task]) | {"intrinsic": intrinsic[task]}
        comparisons = audit_leakage(texts, folders)
    for task in ("a", "b"):
        own = [record for record in comparisons if record["first"].startswith(f"{task} ")]
        report[task]["leakage"] = {"crossings": sum(record["crossings"] for record in own), "comparisons": own}
    ordered = {task: report[task] for task in ("a", "b")}
    write_json(audit, ordered)
    return ordered


def _is_published(manifest: dict[str, Any]) -> bool:
    # A corpus that only names its training part has no held-out sets to keep.
    return set(manifest["splits"] or ()) > {"train"}


def _split(pairs: pa.Table, manifest: dict[str, Any], splitting: Splitting, rules: Counts) -> Splits:
    if len(pairs) and not _is_published(manifest):
        return split(pairs, splitting, f"{manifest['corpus']} ({_dropped(rules)})")
    splits, dropped = published(pairs)
    rules["valid_meets_test"] = {"dropped": dropped["valid"]}
    rules["train_meets_held_out"] = {"dropped": dropped["train"]}
    for name in ("train", "valid", "test"):
        if name not in splits or not len(splits[name]):
            raise ConfigError(
                f"{manifest['corpus']}: no pair is left for {name} ({_dropped(rules)}); change cleaning in params.yaml, or "
                "take another corpus."
            )
    return splits


def _dropped(rules: Counts) -> str:
    """What each rule dropped."""
    counts = [f"{rule} {counted['dropped']:,}" for rule, counted in rules.items() if counted.get("dropped")]
    return f"dropped: {', '.join(counts) or 'nothing'}"


def _write(folder: Path, splits: Splits, manifest: dict[str, Any]) -> None:
    for name, pairs in splits.items():
        write_table(_path(folder, name), pairs.select(SCHEMA.names).cast(SCHEMA))
    described = ("corpus", "source_language", "target_language", "phrasebook")
    write_json(folder / "languages.json", {key: manifest[key] for key in described})


def _path(folder: Path, split_name: str) -> Path:
    if split_name.startswith(PROBE):
        return folder / "probes" / f"{split_name.removeprefix(PROBE)}.parquet"
    return folder / ("tests" if split_name.startswith("test") else "") / f"{split_name}.parquet"
