"""One run's answers to probes, as counts that add up over twins.

A probe is a test set whose items come in *twins*: two sources that differ in what the probe is about, each with the right
translation and a wrong one, as a rule the right one of the other. Whoever ignores the difference gets one of the two right, so
chance is 50 %. The two items of a twin are not independent, hence the twin is the unit that is resampled: one row of counts a
twin.

Names: a probe's test set is `probe-<name>`; a part of it (one distance, one place of the clue) is `probe-<name>/<part>`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from translab.comparison.shared import Shared
from translab.comparison.sufficient import Array
from translab.comparison.testsets import PART, PROBE, ResultsError, TestSet, check_scores, digest, numbers, rows_of

ITEM_COLUMNS = ["probe", "index", "group", "source", "target", "wrong", "chosen", "accepted", "tag"]
"""What is read of the items of probes."""

NEAR = 3
"""A clue at most this many words from its word is near."""


@dataclass(frozen=True)
class Probe(TestSet):
    """One run's answers to one probe; its translations are not kept."""

    items: list[dict[str, str | None]] = field(kw_only=True)
    """{source, target, wrong} of all items, twin by twin; one list for all runs."""


def read_probes(table: pa.Table, figures: Mapping[str, Any], where: str, shared: Shared) -> Iterator[tuple[str, TestSet]]:
    """Probes and their parts by name.

    Args:
        table: `probes.parquet`.
        figures: `probes` of `scores.json`.
        where: run and file, for messages.
        shared: what earlier runs had in common.

    Raises:
        ResultsError: if an item has no twin, or the items do not give the scores they were stored beside.
    """
    for probe, values in figures.items():
        rows = rows_of(table, "probe", probe)
        here = f"{where}, probe `{probe}`"
        if rows.num_rows != values["items"]:
            raise ResultsError(
                f"{here}: {rows.num_rows} items, scores.json has {values['items']}; delete the folder and run `make repro`."
            )
        texts = rows.select(["group", "source", "target", "wrong", "tag"])
        items = shared.made(PROBE + probe, texts, lambda probe=probe, texts=texts, here=here: _items(probe, texts, here))  # type: ignore[misc]
        outcomes = {"choice": numbers(rows["chosen"]), "acceptance": numbers(rows["accepted"])}
        counts = _by_twin(outcomes, items.twins, np.ones(rows.num_rows))
        check_scores(counts, {metric: 100 * values[metric] for metric in outcomes}, "items'", here)
        yield PROBE + probe, Probe(items.digest, [], [], [], counts, values, items=items.texts)
        for part, chosen in items.parts.items():
            inside = _by_twin(outcomes, items.twins, chosen)
            about = {"items": int(chosen.sum())}
            yield PROBE + probe + PART + part, TestSet(digest(items.digest, part), [], [], [], inside, about)


@dataclass(frozen=True)
class _Items:
    """What the answers of all runs to one probe have in common."""

    twins: NDArray[np.int64]
    digest: str
    texts: list[dict[str, str | None]]
    """{source, target, wrong}, twin by twin."""
    parts: dict[str, Array]
    """Part to 1 for each item that belongs to it [items], else 0."""


def _items(probe: str, texts: pa.Table, where: str) -> _Items:
    twins = _twins(texts["group"].to_pylist(), where)
    columns = {column: texts[column].to_pylist() for column in ("source", "target", "wrong")}
    by_twin = np.argsort(twins, kind="stable")
    ordered = [{column: values[item] for column, values in columns.items()} for item in by_twin]
    parts: dict[str, Array] = {}
    if probe in PARTS:
        labels = [PARTS[probe](json.loads(tag).get("words", {})) for tag in texts["tag"].to_pylist()]
        for part in sorted({label for label in labels if label is not None}, key=_number_first):
            parts[part] = np.array([label == part for label in labels], dtype=np.float64)
    return _Items(twins, digest(*columns.values()), ordered, parts)


def _distance(words: Mapping[str, int]) -> str | None:
    """English words between the two that depend on each other, the second one included."""
    return str(max(words.values()) - min(words.values())) if words else None


def _place(words: Mapping[str, int]) -> str | None:
    """Where the clue to a word's sense stands."""
    if not {"word", "clue"} <= words.keys():
        return None
    side = "before" if words["clue"] < words["word"] else "after"
    return f"clue {side}, {'near' if abs(words['clue'] - words['word']) <= NEAR else 'far'}"


PARTS: dict[str, Callable[[Mapping[str, int]], str | None]] = {"long-distance": _distance, "polysemy": _place}
"""The probes that are also read in parts, and the part that an item belongs to by its marked words."""


def _number_first(part: str) -> tuple[int, str]:
    return (int(part) if part.isdigit() else 0, part)


def _twins(groups: Sequence[str], where: str) -> NDArray[np.int64]:
    """The number of each item's twin [items], in the order in which twins appear."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    for group, size in Counter(groups).items():
        if size != 2:
            raise ResultsError(
                f"{where}: twin `{group}` has {size} item{'s' if size > 1 else ''}, a twin has two; "
                f"delete the folder and run `make repro`."
            )
    return np.array([numbers[group] for group in groups], dtype=np.int64)


def _by_twin(outcomes: Mapping[str, Array], twins: NDArray[np.int64], chosen: Array) -> dict[str, Array]:
    """Metric to [right, all] of each twin that has a chosen item: [twins, 2]."""
    everything = np.bincount(twins, chosen).astype(np.float64)
    return {
        metric: np.stack([np.bincount(twins, outcome * chosen), everything], axis=1)[everything > 0]
        for metric, outcome in outcomes.items()
    }
