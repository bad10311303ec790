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
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from translab.corpora.cleaning import PROBE, texts
from translab.corpora.intrinsic import sentence_tables
from translab.corpora.splitting import KEYS, Splits, components, keyed, normalised_column
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


def read_splits(folder: Path) -> Splits:
    """The splits of a task, from the files as written."""
    return {name: keyed(read_table(path, [*SIDES, "group"])) for name, path in split_files(folder).items()}


def audit_leakage(splits: dict[str, Splits], folders: dict[str, Path]) -> list[dict[str, Any]]:
    """Compare what models learn from with what they are tested on.

    Args:
        splits: of the tasks `a` and `b`, as `read_splits` gives them.
        folders: of the tasks; the tables of intrinsic.py are read from them.

    Returns:
        one record for each comparison: what was compared, how many sentences on either side, and 0 crossings.

    Raises:
        LeakageError: if a sentence crosses.
    """
    sentences = {
        (task, name, side): pairs[KEYS[side]].unique()
        for task, own in splits.items()
        for name, pairs in own.items()
        for side in SIDES
    }
    languages = {task: read_json(folder / "languages.json") for task, folder in folders.items()}
    compared = []
    for task, own in splits.items():
        generated = languages[task]["phrasebook"] is not None
        for first, second in combinations(own, 2):
            # Published tests of one corpus may share sentences: neither is learned from.
            if generated or first in ("train", "valid"):
                compared += [((task, first, side), (task, second, side)) for side in SIDES]
    compared += [
        (("a", first, side), ("b", second, other))
        for first in splits["a"]
        for second in splits["b"]
        if second != "train"
        for side in SIDES
        for other in SIDES
        if languages["a"][f"{side}_language"] == languages["b"][f"{other}_language"]
    ]
    measured = {
        (task, f"intrinsic {path.stem}", "source"): normalised_column(read_table(path)["source"]).unique()
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


def _compare(first: Sequence[str], here: pa.Array, second: Sequence[str], there: pa.Array) -> dict[str, Any]:
    names = [" ".join(place) for place in (first, second)]
    fewer, more = sorted((here, there), key=len)
    if crossing := more.filter(pc.is_in(more, fewer)).to_pylist():
        raise LeakageError(
            f"{len(crossing):,} normalised sentences stand in {names[0]} and in {names[1]}, for example {min(crossing)!r}; "
            "nothing is written: this is a defect of src/translab/corpora (splitting.py, or phrasebook/ if it made the text)."
        )
    return {"first": names[0], "second": names[1], "sentences": [len(here), len(there)], "crossings": 0}


def describe(splits: Splits) -> dict[str, Any]:
    """Sizes and hashes of a task's texts; components, lengths and vocabulary without the probes."""
    text = pa.concat_tables([pairs for name, pairs in splits.items() if not name.startswith(PROBE)])
    weights = np.bincount(components(text))
    sides = {side: _measured(text[side]) for side in SIDES}
    return {
        "sizes": {name: len(pairs) for name, pairs in splits.items()},
        "sha256": {name: _content_hash(pairs) for name, pairs in splits.items()},
        "components": {"count": len(weights), "largest": int(weights.max())},
        "lengths": {side: lengths for side, (lengths, _) in sides.items()},
        "types": {side: types for side, (_, types) in sides.items()},
    }


def _content_hash(pairs: pa.Table) -> str:
    digest = hashlib.sha256()
    for sources, targets in zip(texts(pairs["source"]), texts(pairs["target"]), strict=True):
        digest.update("".join(f"{source}\t{target}\n" for source, target in zip(sources, targets, strict=True)).encode())
    return digest.hexdigest()


def _measured(column: pa.ChunkedArray) -> tuple[dict[str, Any], int]:
    """Histograms of the texts' lengths, and the number of different words."""
    lengths: list[int] = []
    types: set[str] = set()
    for batch in texts(column):
        for text in batch:
            found = words(text)
            lengths.append(len(found))
            types.update(found)
    characters = pc.utf8_length(column).to_numpy()
    histograms = {"characters": _histogram(characters, "characters"), "words": _histogram(np.array(lengths), "words")}
    return histograms, len({word.lower() for word in types})


def _histogram(values: NDArray[Any], unit: str) -> dict[str, Any]:
    """Counts of lengths: `counts[i]` texts have i × bucket up to (i + 1) × bucket − 1 units."""
    ordered = np.sort(values)
    # One number in the middle, or two.
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1].tolist()
    return {
        "bucket": BUCKETS[unit],
        "counts": np.bincount(values // BUCKETS[unit]).tolist(),
        "mean": round(int(values.sum()) / len(values), 3),
        "median": statistics.median(middle),
        "maximum": int(ordered[-1]),
    }
