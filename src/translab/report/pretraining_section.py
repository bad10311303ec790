"""The page's section on pretraining: what each method learned of task A, measured before anything is handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison import sense_controls
from translab.comparison.intrinsic import CHANCE
from translab.comparison.results import Grid
from translab.comparison.rounding import interval, shown
from translab.report import sense_figures
from translab.report.sheets import Table, table

Record = Mapping[str, Any]

WORDS = 8
"""Words whose neighbours are shown."""

COLUMNS = (
    ("perplexity", "language_model", "perplexity", "perplexity"),
    ("bits per character", "language_model", "bits_per_character", "bits"),
    ("cloze %", "cloze", "accuracy", "percent"),
    ("word classes, AUC", "classes", "auc", "auc"),
    ("senses, AUC", "senses", "contextual", "auc"),
    ("sentences, P@1 %", "sentences", "precision_at_1", "percent"),
    ("topics %, frozen", "topics", "frozen", "percent"),
    ("topics %, tuned", "topics", "tuned", "percent"),
)
"""Column, measure, figure and how it is rounded."""

FURTHER = (
    ("senses, AUC: mean of context", "senses", "context_mean", "auc"),
    ("senses, AUC: static", "senses", "static", "auc"),
    ("sentences, MRR", "sentences", "mrr", "auc"),
    ("alignment", "sentences", "alignment", "ratio"),
    ("uniformity", "sentences", "uniformity", "ratio"),
)


def contents(grid: Grid, records: Sequence[Record]) -> dict[str, Any]:
    """Everything that the section shows.

    Args:
        grid: all results.
        records: those of `reports/pretraining.json`.
    """
    measured = [record for record in records if record.get("intrinsic")]
    rows = _separations(measured)
    majority = [found["majority"] for record in measured if (found := record["intrinsic"]["topics"]) and "majority" in found]
    return {
        "intrinsic": table_of(measured, COLUMNS),
        "further": further(measured),
        "majority": shown(100 * majority[0], "percent") if majority else None,
        "separation": sense_figures.separation(rows) if rows else None,
        "controls": controls(measured),
        "words": len(rows[0][2]["words"]) if rows else 0,
        "scatters": _scatters(grid, measured),
        "neighbours": neighbours(measured),
    }


def table_of(records: Sequence[Record], columns: Sequence[tuple[str, str, str, str]]) -> Table:
    """Methods by intrinsic measures, each with its interval over seeds; a measure that no method has is left out."""
    cells = {
        title: [_cell((record["intrinsic"][measure] or {}).get(figure), quantity) for record in records]
        for title, measure, figure, quantity in columns
    }
    kept = {title: column for title, column in cells.items() if set(column) - {"–"}}
    if not kept:
        return table({"method": []}, [])
    sides = [record["intrinsic"]["side"] for record in records]
    return table({"method": [record["name"] for record in records], "side": sides, **kept}, list(kept))


def further(records: Sequence[Record]) -> Table:
    """Controls of sense separation and further measures of sentence vectors, with what those were asked to find."""
    made = table_of(records, FURTHER)
    asked = [record["intrinsic"]["sentences"] for record in records]
    if not made.rows or not any(asked):
        return made
    cells = [f"{found['view']} among {found['candidates']:,}" if found else "–" for found in asked]
    rows = [[*row, cell] for row, cell in zip(made.rows, cells, strict=True)]
    return Table([*made.columns, "sentences to find"], rows, made.numbers)


def controls(records: Sequence[Record]) -> Table:
    """Sense separation of trained vectors in context, and its difference from each control; one that none has is left out.

    The untrained encoder is named for each method where they are not compared with the same.
    """
    rows = [(record["name"], record["intrinsic"]["senses"]) for record in records if record["intrinsic"]["senses"]]
    rows = [(name, senses) for name, senses in rows if sense_controls.CONTEXT in senses]
    columns = {
        "method": [name for name, _ in rows],
        "AUC": [_cell(senses["contextual"], "auc") for _, senses in rows],
        "untrained encoder": [(senses[sense_controls.UNTRAINED] or {}).get("control", "–") for _, senses in rows],
        "minus untrained encoder": [_difference(senses[sense_controls.UNTRAINED]) for _, senses in rows],
        "minus mean of its context": [_difference(senses[sense_controls.CONTEXT]) for _, senses in rows],
    }
    if len(set(columns["untrained encoder"]) - {"–"}) < 2:
        del columns["untrained encoder"]
    kept = {title: column for title, column in columns.items() if set(column) != {"–"}}
    return table(kept, [title for title in kept if title not in ("method", "untrained encoder")])


def _difference(found: Record | None) -> str:
    """A difference, its interval and what it says in one cell."""
    if found is None:
        return "–"
    bounds = f" ({interval(found['interval'], 'auc', sign=True)})" if "interval" in found else ""
    return f"{shown(found['estimate'], 'auc', sign=True)}{bounds}, {found['word']}"


def _cell(measured: Record | None, quantity: str) -> str:
    if measured is None:
        return "–"
    return f"{shown(measured['mean'], quantity)} ({interval(measured['interval'], quantity).replace(' to ', '–')})"


def _separations(records: Sequence[Record]) -> list[tuple[str, str, Record]]:
    """The rows of the figure: contextual vectors, then the controls; static vectors share a row where all are 0.5."""
    found = [(record, record["intrinsic"]["senses"]) for record in records if record["intrinsic"]["senses"]]
    rows: list[tuple[str, str, Record]] = [
        (record["name"], "model", senses["contextual"])
        for record, senses in found
        if senses["contextual"] and not record["untrained"]
    ]
    rows += [
        (f"{record['name']}: encoder not trained", "control", senses["contextual"])
        for record, senses in found
        if senses["contextual"] and record["untrained"]
    ]
    rows += [
        (f"{record['name']}: mean of its context", "control", senses["context_mean"])
        for record, senses in found
        if senses["context_mean"]
    ]
    static = [(record["name"], senses["static"]) for record, senses in found if senses["static"]]
    at_chance = [(name, measured) for name, measured in static if set(measured["words"].values()) == {CHANCE}]
    if at_chance:
        names = ", ".join(name for name, _ in at_chance) if len(at_chance) <= 3 else f"{len(at_chance)} methods"
        rows.append((f"static vectors ({names})", "control", at_chance[0][1]))
    rows += [(f"{name}: static vectors", "control", measured) for name, measured in static if (name, measured) not in at_chance]
    return rows


def _scatters(grid: Grid, records: Sequence[Record]) -> list[dict[str, Any]]:
    """The vectors of one word by the first seed of each method that has vectors in context."""
    runs = [(record["name"], grid.cells[record["name"]].first) for record in records]
    return [
        {"name": name, "form": run.senses[0]["form"], "figure": sense_figures.scatter(name, run.senses)}
        for name, run in runs
        if run is not None and run.senses
    ]


def neighbours(records: Sequence[Record]) -> Table:
    """Words by methods: the nearest words of each by cosine, by the first seed; the two sides' words apart."""
    found = [(record["name"], record["intrinsic"]["neighbours"]) for record in records if record["intrinsic"]["neighbours"]]
    words: dict[str, None] = {}
    for _, near in found:
        words |= dict.fromkeys(list(near)[:WORDS])
    columns = {name: [", ".join(word for word, _ in near.get(chosen, [])) or "–" for chosen in words] for name, near in found}
    return table({"word": list(words), **columns}, [])
