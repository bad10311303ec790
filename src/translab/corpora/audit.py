"""What the written texts are: whether they leak, how many they are, how long, how varied.

The leakage audit trusts nothing that was in memory: it reads the Parquet files again and compares every training sentence with
every held-out one, and task A with the held-out sets of task B, after normalisation (`splitting.normalised`). Held-out sets are
validation, tests and probes; in text from the phrasebook these are compared with each other, too. The sentences by which
representations are measured (`intrinsic/`) stand in no split of either task.
"""

from __future__ import annotations

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from translab.corpora.cleaning import PROBE, Pair
from translab.corpora.intrinsic import sentence_tables
from translab.corpora.splitting import components, normalised
from translab.files import read_json, read_table

SIDES = ("source", "target")
BUCKETS = {"characters": 10, "words": 5}
"""Width of a histogram's buckets."""

# A Han character is a word of its own; any other word is a run of letters and digits, apostrophes and hyphens inside it.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_WORD = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+(?:['’-][^\W{_HAN}]+)*")


class LeakageError(ValueError):
    """A held-out sentence is also where a model learns from."""


def words(text: str) -> list[str]:
    """The words of a sentence, as far as counting needs them.

    >>> words("Don't stop 2 times! 别停")
    ["Don't", 'stop', '2', 'times', '别', '停']
    """
    return _WORD.findall(text)


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a task by the name of their split: `train`, `valid`, then the tests, then the probes (`probe-…`)."""
    tests = {path.stem: path for path in (folder / "tests").glob("*.parquet")}
    probes = {f"{PROBE}{path.stem}": path for path in (folder / "probes").glob("*.parquet")}
    learning = {"train": folder / "train.parquet", "valid": folder / "valid.parquet"}
    return learning | dict(sorted(tests.items())) | dict(sorted(probes.items()))


def audit_leakage(folders: dict[str, Path]) -> list[dict[str, Any]]:
    """Compare what models learn from with what they are tested on, in the files as written.

    Args:
        folders: of the tasks `a` and `b`.

    Returns:
        one record for each comparison: what was compared, how many sentences on either side, and 0 crossings.

    Raises:
        LeakageError: if a sentence crosses.
    """
    sentences = {
        (task, name, side): {normalised(text) for text in read_table(path).column(side).to_pylist()}
        for task, folder in folders.items()
        for name, path in split_files(folder).items()
        for side in SIDES
    }
    languages = {task: read_json(folder / "languages.json") for task, folder in folders.items()}
    compared = []
    for task, folder in folders.items():
        generated = languages[task]["phrasebook"] is not None
        for first, second in combinations(split_files(folder), 2):
            # Published tests of one corpus may share sentences: neither is learned from.
            if generated or first in ("train", "valid"):
                compared += [((task, first, side), (task, second, side)) for side in SIDES]
    compared += [
        (("a", first, side), ("b", second, other))
        for first in split_files(folders["a"])
        for second in split_files(folders["b"])
        if second != "train"
        for side in SIDES
        for other in SIDES
        if languages["a"][f"{side}_language"] == languages["b"][f"{other}_language"]
    ]
    measured = {
        (task, f"intrinsic {path.stem}", "source"): {normalised(text) for text in read_table(path).column("source").to_pylist()}
        for task, folder in folders.items()
        for path in sentence_tables(folder)
    }
    compared += [
        (table, split)
        for table in measured
        for split in sentences
        if languages[table[0]]["source_language"] == languages[split[0]][f"{split[2]}_language"]
    ]
    sentences |= measured
    return [_compare(first, sentences[first], second, sentences[second]) for first, second in compared]


def _compare(first: Sequence[str], here: set[str], second: Sequence[str], there: set[str]) -> dict[str, Any]:
    names = [" ".join(place) for place in (first, second)]
    if crossing := here & there:
        raise LeakageError(
            f"{len(crossing):,} normalised sentences stand in {names[0]} and in {names[1]}, for example {min(crossing)!r}; "
            "nothing is written: this is a defect of src/translab/corpora (splitting.py, or phrasebook/ if it made the text)."
        )
    return {"first": names[0], "second": names[1], "sentences": [len(here), len(there)], "crossings": 0}


def describe(folder: Path) -> dict[str, Any]:
    """Sizes and hashes of a task's texts, from the files as written; components, lengths and vocabulary without the probes."""
    tables = {name: read_table(path) for name, path in split_files(folder).items()}
    pairs = [
        Pair(row["source"], row["target"], row["group"], row["tag"], None)
        for name, table in tables.items()
        if not name.startswith(PROBE)
        for row in table.select(["source", "target", "group", "tag"]).to_pylist()
    ]
    weights = Counter(components(pairs))
    sides = {"source": [pair.source for pair in pairs], "target": [pair.target for pair in pairs]}
    return {
        "sizes": {name: len(table) for name, table in tables.items()},
        "sha256": {name: _content_hash(table.select(list(SIDES)).to_pydict()) for name, table in tables.items()},
        "components": {"count": len(weights), "largest": max(weights.values())},
        "lengths": {side: _lengths(texts) for side, texts in sides.items()},
        "types": {side: len({word.lower() for text in texts for word in words(text)}) for side, texts in sides.items()},
    }


def _content_hash(columns: dict[str, list[str]]) -> str:
    digest = hashlib.sha256()
    for source, target in zip(*columns.values(), strict=True):
        digest.update(f"{source}\t{target}\n".encode())
    return digest.hexdigest()


def _lengths(texts: Sequence[str]) -> dict[str, Any]:
    return {
        "characters": _histogram(map(len, texts), "characters"),
        "words": _histogram((len(words(text)) for text in texts), "words"),
    }


def _histogram(lengths: Iterable[int], unit: str) -> dict[str, Any]:
    """Counts of lengths: `counts[i]` texts have i × bucket up to (i + 1) × bucket − 1 units."""
    values = list(lengths)
    buckets = Counter(value // BUCKETS[unit] for value in values)
    return {
        "bucket": BUCKETS[unit],
        "counts": [buckets[index] for index in range(max(buckets) + 1)],
        "mean": round(statistics.fmean(values), 3),
        "median": statistics.median(values),
        "maximum": max(values),
    }
