"""What single heads are worth: how unlike the heads of a layer are, and what a model loses without one of them.

`scores.json` of an ablation with attention holds, for each layer of the encoder, of the decoder and of the cross-attention, the
mean Jensen-Shannon divergence of its heads' rows (nats; 0: all heads look alike, ln 2: never at the same types), and the test
loss with each head removed, nothing trained again (Michel et al. 2019, "Are Sixteen Heads Really Better than One?").

Head 2 of one seed has nothing in common with head 2 of another. Heads are therefore ranked within layer and seed by what their
removal costs, and it is the dearest, the second, ... that have means over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from translab.comparison.intrinsic import over_seeds
from translab.comparison.results import BASE, Cell, Grid
from translab.comparison.rounding import interval, shown
from translab.report import svg
from translab.report.probe_tables import Matrix
from translab.report.sheets import Table, table
from translab.report.svg import drawing, line, linear, text

Record = Mapping[str, Any]

AXIS = "model.heads"
"""What is lost without a head is shown of the base and of the models of this axis; `ablations.json` has it of all."""

NATS = "nats"
"""How divergence and entropy are rounded: they are never below 0."""


def records(grid: Grid, confidence: float) -> list[dict[str, Any]]:
    """One record for each model whose heads were measured: its layers with diversity and the cost of each head.

    Args:
        grid: all results.
        confidence: level of the intervals.
    """
    return [
        {
            "name": cell.name,
            "axis": cell.first.config["axis"] if cell.first else None,
            "sentences": min((run.heads or {})["sentences"] for run in cell.runs.values()),
            "diversity": _diversity(cell, confidence),
            "layers": _layers(cell, confidence),
        }
        for cell in grid.cells.values()
        if not cell.problems and cell.runs and all(_is_whole(run.heads) for run in cell.runs.values())
    ]


def _is_whole(heads: Record | None) -> bool:
    """Whether heads were measured, and the model without each of them still gives numbers."""
    return heads is not None and all(
        None not in (measured["loss"], measured["accuracy"])
        for measured in [heads, *(head for layer in heads["layers"] for head in layer["heads"])]
    )


def _diversity(cell: Cell, confidence: float) -> dict[str, Any]:
    """Of each part, the mean over its layers; None where layers have one head."""
    means: dict[str, list[float | None]] = {}
    for run in cell.runs.values():
        layers = (run.heads or {})["layers"]
        for part in dict.fromkeys(layer["part"] for layer in layers):
            found = [layer["diversity"] for layer in layers if layer["part"] == part]
            means.setdefault(part, []).append(None if None in found else float(np.mean(found)))
    return {part: over_seeds(values, NATS, 1, confidence) for part, values in means.items()}


def _layers(cell: Cell, confidence: float) -> list[dict[str, Any]]:
    measured = [run.heads for run in cell.runs.values() if run.heads]
    made = []
    for layers in zip(*(found["layers"] for found in measured), strict=True):
        losses = [
            sorted((head["loss"] - found["loss"] for head in layer["heads"]), reverse=True)
            for layer, found in zip(layers, measured, strict=True)
        ]
        entropies = [float(np.mean([head["entropy"] for head in layer["heads"]])) for layer in layers]
        worst = [
            max(found["accuracy"] - head["accuracy"] for head in layer["heads"])
            for layer, found in zip(layers, measured, strict=True)
        ]
        made.append(
            {
                "part": layers[0]["part"],
                "layer": layers[0]["layer"],
                "diversity": over_seeds([layer["diversity"] for layer in layers], NATS, 1, confidence),
                "ranks": [over_seeds(list(rank), "loss", 1, confidence) for rank in zip(*losses, strict=True)],
                "entropy": over_seeds(entropies, NATS, 1, confidence),
                "accuracy": over_seeds(worst, "percent", 100, confidence),
            }
        )
    return made


def contents(found: Sequence[Record]) -> dict[str, Any] | None:
    """Everything that the section shows; None where no heads were measured.

    Args:
        found: from `records`.
    """
    if not found:
        return None
    drawn = [record for record in found if record["name"] == BASE or record["axis"] == AXIS]
    rises = [value for record in drawn for layer in record["layers"] for rank in layer["ranks"] for value in rank["raw"]]
    domain = (min(0.0, *rises), max(rises)) if rises else (0.0, 1.0)
    return {
        "sentences": sorted({record["sentences"] for record in found}),
        "diversity": compared(found),
        "removed": removed(drawn),
        "figures": [{"name": record["name"], "figure": figure(record, domain)} for record in drawn],
    }


def _title(layer: Record) -> str:
    return f"{layer['part']} {layer['layer']}"


def compared(found: Sequence[Record]) -> Matrix:
    """Diversity of the heads of each part, mean over its layers, so that models of different depth stand beside each other."""
    parts = list(dict.fromkeys(part for record in found for part in record["diversity"]))
    rows = []
    for record in found:
        cells = [record["diversity"].get(part) for part in parts]
        rows.append((record["name"], [{"metric": NATS, "difference": None, **cell} if cell else None for cell in cells]))
    return Matrix(parts, rows)


def removed(found: Sequence[Record]) -> Table:
    """What the removal of the dearest and of the cheapest head of a layer costs."""
    rows = [(record["name"], layer) for record in found for layer in record["layers"]]
    columns = {
        "model": [name for name, _ in rows],
        "layer": [_title(layer) for _, layer in rows],
        "heads": [str(len(layer["ranks"])) for _, layer in rows],
        "diversity": [shown((layer["diversity"] or {}).get("mean"), NATS) for _, layer in rows],
        "entropy": [shown(layer["entropy"]["mean"], NATS) for _, layer in rows],
        "dearest: loss": [shown(layer["ranks"][0]["mean"], "loss", sign=True) for _, layer in rows],
        "interval": [interval(layer["ranks"][0]["interval"], "loss", sign=True) for _, layer in rows],
        "cheapest: loss": [shown(layer["ranks"][-1]["mean"], "loss", sign=True) for _, layer in rows],
        "dearest: right types %": [shown(-layer["accuracy"]["mean"], "percent", sign=True) for _, layer in rows],
    }
    return table(columns, [head for head in columns if head not in ("model", "layer")])


def figure(record: Record, domain: tuple[float, float]) -> str:
    """The rise of the test loss without each head: a row a layer, a ring a head of one seed.

    Args:
        record: one of `records`.
        domain: the smallest and largest rise of all models, so that their figures can be compared.
    """
    width, row, top, left = 340.0, 24, 30, 84.0
    bottom = top + row * len(record["layers"])
    x = linear(domain, (left, width - 12))
    marks = [text(4, 14, record["name"], "strong name")]
    marks.extend(line(x(tick), top, x(tick), bottom, "gridline") for tick in svg.ticks(domain, 4))
    marks.append(line(x(0), top, x(0), bottom, "zero"))
    for index, layer in enumerate(record["layers"]):
        y = top + row * index + row / 2
        marks.append(text(4, y + 4, _title(layer), "small"))
        marks.extend(svg.circle(x(value), y, 3.2, "seed") for rank in layer["ranks"] for value in rank["raw"])
    marks.extend(text(x(tick), bottom + 15, svg.label(tick), "small", "middle") for tick in svg.ticks(domain, 4))
    marks.append(text((left + width) / 2, bottom + 32, "rise of the test loss, nats", "small", "middle"))
    told = "; ".join(
        f"{_title(layer)} {', '.join(shown(rank['mean'], 'loss', sign=True) for rank in layer['ranks'])}"
        for layer in record["layers"]
    )
    return drawing(width, bottom + 40, f"Rise of the loss of {record['name']} without one head, by layer: {told}.", marks)
