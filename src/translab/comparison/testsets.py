"""One run's translations of test sets, as counts that add up over sentences.

Names: a test set is `test` or a split beside it; `probe-<name>` and `probe-<name>/<part>` are test sets as well (items.py).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from translab.comparison.shared import Shared
from translab.comparison.sufficient import COUNTS, Array, score

COLUMNS = {"bleu": ["bleu_statistics"], "chrf": ["chrf_statistics"], "ter": ["ter_edits", "ter_reference_length"]}

TEST_SET = "test"
"""The primary test set."""

PROBE = "probe-"
"""How the name of a probe's test set begins."""

PART = "/"
"""What stands between a probe and a part of it."""


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
    errors: list[str | None] = field(default_factory=list)
    """Kind of error of each translation, None where it is accepted; empty where no grammar names errors."""

    @property
    def scores(self) -> dict[str, float]:
        """Metric to score: those made of sentences in percent, the loss in nats per token."""
        made = {metric: score(metric, counts.sum(axis=0)) for metric, counts in self.counts.items()}
        loss = self.figures.get("loss")
        return made if loss is None else made | {"loss": float(loss)}


def read_test_sets(table: pa.Table, figures: Mapping[str, Any], where: str, shared: Shared) -> Iterator[tuple[str, TestSet]]:
    """Test sets by name.

    Args:
        table: `sentences.parquet`.
        figures: `test_sets` of `scores.json`.
        where: run and file, for messages.
        shared: what earlier runs had in common.

    Raises:
        ResultsError: if the sentences do not give the scores they were stored beside.
    """
    for test_set, values in figures.items():
        rows = rows_of(table, "test_set", test_set)
        here = f"{where}, test set `{test_set}`"
        if rows.num_rows != values["sentences"]:
            raise ResultsError(
                f"{where} has {rows.num_rows} sentences of test set `{test_set}`, scores.json {values['sentences']}; "
                f"delete the folder and run `make repro`."
            )
        texts = rows.select(["source", "reference"])
        sources, references, told = shared.made(test_set, texts, lambda texts=texts: _texts(texts))  # type: ignore[misc]
        counts = {metric: _counts(rows, metric) for metric in COLUMNS}
        counts["exact"] = _share(rows["exact"])
        errors: list[str | None] = []
        stored = {metric: values[metric]["score"] for metric in ("chrf", "ter")}
        stored["bleu"] = next(iter(values["bleu"].values()))["score"]
        if "acceptance" in values:
            counts["acceptance"] = _share(rows["accepted"])
            stored["acceptance"] = 100 * values["acceptance"]
            errors = rows["error"].to_pylist()
            _check_errors(errors, values.get("errors", {}), here)
        if "rare_all" in rows.column_names:
            counts["rare"] = np.stack([numbers(rows["rare_found"]), numbers(rows["rare_all"])], axis=1)
        check_scores(counts, stored, "sentences'", here)
        hypotheses = rows["hypothesis"].to_pylist()
        yield test_set, TestSet(digest(told, sorted(counts)), sources, references, hypotheses, counts, values, errors)


def _texts(texts: pa.Table) -> tuple[list[str], list[str], str]:
    """Sources, references and their digest."""
    sources, references = texts["source"].to_pylist(), texts["reference"].to_pylist()
    return sources, references, digest(sources, references)


def rows_of(table: pa.Table, column: str, name: str) -> pa.Table:
    """The rows of one test set or probe, by index."""
    rows = table.filter(pa.compute.equal(table[column], name))
    index = rows["index"].to_numpy()
    return rows if (index[1:] > index[:-1]).all() else rows.sort_by("index")


def check_scores(counts: Mapping[str, Array], stored: Mapping[str, float], whose: str, where: str) -> None:
    """Refuse statistics that do not give the scores they were stored beside."""
    for metric, figure in stored.items():
        made = score(metric, counts[metric].sum(axis=0))
        if not math.isclose(made, figure, rel_tol=1e-9, abs_tol=1e-9):
            raise ResultsError(
                f"{where}: the {whose} statistics give {metric} {made}, scores.json has {figure}; "
                f"delete the folder and run `make repro`."
            )


def _check_errors(errors: Sequence[str | None], stored: Mapping[str, int], where: str) -> None:
    made = Counter(kind for kind in errors if kind is not None)
    if made != Counter(stored):
        raise ResultsError(
            f"{where}: the sentences have errors {dict(sorted(made.items()))}, scores.json has {dict(sorted(stored.items()))}; "
            f"delete the folder and run `make repro`."
        )


def _counts(rows: pa.Table, metric: str) -> Array:
    columns = COLUMNS[metric]
    if len(columns) == 1:
        flat: Array = numbers(pa.chunked_array([rows[columns[0]].combine_chunks().flatten()]))
        return flat.reshape(rows.num_rows, COUNTS[metric])
    return np.stack([numbers(rows[column]) for column in columns], axis=1)


def _share(column: pa.ChunkedArray) -> Array:
    """[right, all] of each sentence: [M, 2]."""
    right = numbers(column)
    return np.stack([right, np.ones_like(right)], axis=1)


def numbers(column: pa.ChunkedArray) -> Array:
    """A column as numbers; what is missing becomes NaN, which no stored score equals."""
    numbers: Array = pa.compute.cast(column, pa.float64()).to_numpy()
    return numbers


def digest(*parts: Any) -> str:
    """SHA-256 of some values: equal digests, equal values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
