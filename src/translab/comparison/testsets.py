"""One run's translations of test sets and answers to probes, as counts that add up over sentences.

A probe is a test set whose items come in *twins*: two sources that differ in what the probe is about, each with the right
translation and a wrong one, as a rule the right one of the other. Whoever ignores the difference gets one of the two right, so
chance is 50 %. The two items of a twin are not independent, hence the twin is the unit that is resampled: one row of counts a
twin.

Names: a probe's test set is `probe-<name>`; a part of it (one distance, one place of the clue) is `probe-<name>/<part>`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from translab.comparison.sufficient import COUNTS, Array, score

COLUMNS = {"bleu": ["bleu_statistics"], "chrf": ["chrf_statistics"], "ter": ["ter_edits", "ter_reference_length"]}

TEST_SET = "test"
"""The primary test set."""

PROBE = "probe-"
"""How the name of a probe's test set begins."""

PART = "/"
"""What stands between a probe and a part of it."""

NEAR = 3
"""A clue at most this many words from its word is near."""


class ResultsError(ValueError):
    """Results cannot be read or do not fit together; the message says which and what to do."""


@dataclass(frozen=True)
class TestSet:
    """One run's translations of one test set."""

    digest: str
    """Of sources, references and what is measured: equal digests are the same test set."""
    sources: list[str]
    references: list[str]
    hypotheses: list[str]
    counts: dict[str, Array]
    """Metric to sufficient statistics [M, K]; M is sentences, or twins of a probe."""
    figures: dict[str, Any]
    """What `scores.json` says about this test set."""

    @property
    def scores(self) -> dict[str, float]:
        """Metric to score: those made of sentences in percent, the loss in nats per token."""
        made = {metric: score(metric, counts.sum(axis=0)) for metric, counts in self.counts.items()}
        return made | {"loss": float(self.figures["loss"])} if "loss" in self.figures else made


@dataclass(frozen=True)
class Probe(TestSet):
    """One run's answers to one probe; the sentences themselves are not kept."""

    example: list[dict[str, str | None]]
    """{source, target, wrong} of the two items of its first twin."""


def read_test_sets(table: pa.Table, figures: Mapping[str, Any], where: str) -> Iterator[tuple[str, TestSet]]:
    """Test sets by name.

    Args:
        table: `sentences.parquet`.
        figures: `test_sets` of `scores.json`.
        where: run and file, for messages.

    Raises:
        ResultsError: if the sentences do not give the scores they were stored beside.
    """
    for test_set, values in figures.items():
        rows = table.filter(pa.compute.equal(table["test_set"], test_set)).sort_by("index")
        here = f"{where}, test set `{test_set}`"
        if rows.num_rows != values["sentences"]:
            raise ResultsError(
                f"{where} has {rows.num_rows} sentences of test set `{test_set}`, scores.json {values['sentences']}; "
                f"delete the folder and run `make repro`."
            )
        sources, references = rows["source"].to_pylist(), rows["reference"].to_pylist()
        counts = {metric: _counts(rows, metric) for metric in COLUMNS}
        counts["exact"] = _share(rows["exact"])
        stored = {metric: values[metric]["score"] for metric in ("chrf", "ter")}
        stored["bleu"] = next(iter(values["bleu"].values()))["score"]
        if "acceptance" in values:
            counts["acceptance"] = _share(rows["accepted"])
            stored["acceptance"] = 100 * values["acceptance"]
            _check_errors(rows["error"], values.get("errors", {}), here)
        _check_scores(counts, stored, "sentences'", here)
        digest = _digest(sources, references, sorted(counts))
        yield test_set, TestSet(digest, sources, references, rows["hypothesis"].to_pylist(), counts, values)


def read_probes(table: pa.Table, figures: Mapping[str, Any], where: str) -> Iterator[tuple[str, TestSet]]:
    """Probes and their parts by name.

    Args:
        table: `probes.parquet`.
        figures: `probes` of `scores.json`.
        where: run and file, for messages.

    Raises:
        ResultsError: if an item has no twin, or the items do not give the scores they were stored beside.
    """
    for probe, values in figures.items():
        rows = table.filter(pa.compute.equal(table["probe"], probe)).sort_by("index")
        here = f"{where}, probe `{probe}`"
        if rows.num_rows != values["items"]:
            raise ResultsError(
                f"{here}: {rows.num_rows} items, scores.json has {values['items']}; delete the folder and run `make repro`."
            )
        twins = _twins(rows["group"].to_pylist(), here)
        outcomes = {"choice": _numbers(rows["chosen"]), "acceptance": _numbers(rows["accepted"])}
        counts = _by_twin(outcomes, twins, np.ones(rows.num_rows))
        _check_scores(counts, {metric: 100 * values[metric] for metric in outcomes}, "items'", here)
        columns = {column: rows[column].to_pylist() for column in ("source", "target", "wrong")}
        digest = _digest(*columns.values())
        first = np.flatnonzero(twins == twins[0])
        example = [{column: texts[item] for column, texts in columns.items()} for item in first]
        yield PROBE + probe, Probe(digest, [], [], [], counts, values, example)
        if probe in PARTS:
            labels = [PARTS[probe](json.loads(tag).get("words", {})) for tag in rows["tag"].to_pylist()]
            for part in sorted({label for label in labels if label is not None}, key=_number_first):
                chosen = np.array([label == part for label in labels], dtype=np.float64)
                inside = _by_twin(outcomes, twins, chosen)
                about = {"items": int(chosen.sum())}
                yield PROBE + probe + PART + part, TestSet(_digest(digest, part), [], [], [], inside, about)


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


def _check_scores(counts: Mapping[str, Array], stored: Mapping[str, float], whose: str, where: str) -> None:
    """Refuse statistics that do not give the scores they were stored beside."""
    for metric, figure in stored.items():
        made = score(metric, counts[metric].sum(axis=0))
        if not math.isclose(made, figure, rel_tol=1e-9, abs_tol=1e-9):
            raise ResultsError(
                f"{where}: the {whose} statistics give {metric} {made}, scores.json has {figure}; "
                f"delete the folder and run `make repro`."
            )


def _check_errors(column: pa.ChunkedArray, stored: Mapping[str, int], where: str) -> None:
    made = Counter(kind for kind in column.to_pylist() if kind is not None)
    if made != Counter(stored):
        raise ResultsError(
            f"{where}: the sentences have errors {dict(sorted(made.items()))}, scores.json has {dict(sorted(stored.items()))}; "
            f"delete the folder and run `make repro`."
        )


def _counts(rows: pa.Table, metric: str) -> Array:
    columns = COLUMNS[metric]
    if len(columns) == 1:
        return np.array(rows[columns[0]].to_pylist(), dtype=np.float64).reshape(-1, COUNTS[metric])
    return np.stack([_numbers(rows[column]) for column in columns], axis=1)


def _share(column: pa.ChunkedArray) -> Array:
    """[right, all] of each sentence: [M, 2]."""
    right = _numbers(column)
    return np.stack([right, np.ones_like(right)], axis=1)


def _numbers(column: pa.ChunkedArray) -> Array:
    """A column as numbers; what is missing becomes NaN, which no stored score equals."""
    numbers: Array = pa.compute.cast(column, pa.float64()).to_numpy()
    return numbers


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
