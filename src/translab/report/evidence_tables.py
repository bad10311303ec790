"""The evidence of a claim as tables: rows of text from the records of `reports/evidence.json`, for Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.claim_evidence_errors import QUANTITY
from translab.comparison.rounding import LABELS, interval, shown
from translab.comparison.testsets import PART, PROBE
from translab.report.probe_tables import rates, title
from translab.report.sheets import Table, table

Record = Mapping[str, Any]

MOST_ARMS = 4
"""With more arms than this, a table shows their contrast alone."""

KNOWN = ("better", "worse", "higher", "lower", "more", "fewer")
"""Words of what is known, beside those that say that it is not."""

CONTRAST = "difference"
"""The column, or row, of the weighted contrast of the arms."""


def differences(rows: Sequence[Record]) -> Table:
    """The contrast in every metric and on every probe."""
    columns = {
        "measure": [f"{_place(row['test_set'])}: {LABELS[row['metric']]}" for row in rows],
        **_arms(rows),
        CONTRAST: [shown(row["estimate"], row["metric"], sign=True) for row in rows],
        "interval": [interval(row["interval"], row["metric"], sign=True) for row in rows],
        "p (Holm)": [shown(row["p_adjusted"], "p") for row in rows],
        "word": [row["word"] for row in rows],
    }
    return table(columns, [head for head in columns if head != "measure"])


def parts(rows: Sequence[Record]) -> Table:
    """The contrast on the parts of a probe, such as its distances."""
    whole = differences(rows)
    named = [(row["test_set"].partition(PART)[2], *cells[1:]) for row, cells in zip(rows, whole.rows, strict=True)]
    return Table(["part", *whole.columns[1:]], named, whole.numbers)


def _place(test_set: str) -> str:
    return f"probe {title(test_set)}" if test_set.startswith(PROBE) else title(test_set)


def _arms(rows: Sequence[Record]) -> dict[str, list[str]]:
    """A column for each arm."""
    names = list(rows[0]["arms"])
    chosen = names if len(names) <= MOST_ARMS else []
    return {name: [shown(row["arms"][name], row.get("metric", QUANTITY)) for row in rows] for name in chosen}


def errors(rows: Sequence[Record]) -> Table:
    """Kinds of errors in percent of all outputs, and which of them moved."""
    columns = {
        "error": [row["kind"] for row in rows],
        **_arms(rows),
        CONTRAST: [shown(row["estimate"], QUANTITY, sign=True) for row in rows],
        "interval": [interval(row["interval"], QUANTITY, sign=True) for row in rows],
        "p (Holm)": [shown(row["p_adjusted"], "p") for row in rows],
        "moved": [row["word"] for row in rows],
    }
    return table(columns, [head for head in columns if head != "error"])


def lengths(found: Record) -> Table:
    """Arms by buckets of sentence length."""
    heads = [f"{_range(bucket)} words ({bucket['sentences']:,})" for bucket in found["buckets"]]
    return _buckets(heads, found["buckets"], found["metric"])


def frequencies(buckets: Sequence[Record]) -> Table:
    """Arms by how often training showed a word."""
    return _buckets([f"{_range(bucket)} times ({bucket['all']:,})" for bucket in buckets], buckets, "percent")


def _range(bucket: Record) -> str:
    if bucket["upper"] is None:
        return f"{bucket['lower']:,} and more"
    return f"{bucket['lower']:,}" if bucket["lower"] == bucket["upper"] else f"{bucket['lower']:,}–{bucket['upper']:,}"


def _buckets(heads: Sequence[str], buckets: Sequence[Record], quantity: str) -> Table:
    names = list(buckets[0]["arms"])
    columns = {
        head: [
            *(shown(bucket["arms"][name], quantity) for name in names),
            shown(bucket["estimate"], quantity, sign=True),
        ]
        for head, bucket in zip(heads, buckets, strict=True)
    }
    return table({"arm": [*names, CONTRAST], **columns}, heads)


def cost(rows: Sequence[Record]) -> Table:
    """Updates, tokens and parameters of the arms."""
    columns = {
        "arm": [row["name"] for row in rows],
        "updates": [f"{row['updates']:,}" for row in rows],
        "target tokens": [f"{row['tokens']:,}" for row in rows],
        "parameters": [f"{row['parameters']:,}" for row in rows],
        "trained": [f"{row['trained']:,}" for row in rows],
        "training pairs": [str(row["training_pairs"]) for row in rows],
    }
    return table(columns, [head for head in columns if head != "arm"])


def told(block: Record) -> list[tuple[str, Table]]:
    """(heading, table) of what a contrast's arms were measured by, in the page's order.

    Args:
        block: a contrast in a record of `reports/evidence.json`; it holds costs alone where the weights compare nothing.
    """
    own = title(block["test_set"])
    made: list[tuple[str, Table]] = []
    if block.get("differences"):
        made.append(("In every metric, and on every split and probe", differences(block["differences"])))
    if block.get("parts"):
        made.append((f"Parts of the probe {own}", parts(block["parts"])))
    if block.get("rates"):
        made.append((f"Where translations end, on the probe {own}", rates(block["rates"], block["test_set"])))
    if block.get("lengths"):
        made.append(
            (
                f"By sentence length on {title(block['translated'])}: {LABELS[block['lengths']['metric']]}",
                lengths(block["lengths"]),
            )
        )
    if block.get("frequencies"):
        made.append(
            (
                "Words of the reference found % (as BLEU counts words), by how often training has them",
                frequencies(block["frequencies"]),
            )
        )
    made.append(("Cost, means over seeds", cost(block["cost"])))
    if block.get("errors"):
        made.append((f"Errors on {title(block['translated'])}, percent of outputs", errors(block["errors"])))
    return made
