"""The figures: what each one shows, and where its marks lie. Every figure is drawn from the rounded records of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.results import BASE
from translab.comparison.rounding import BETTER, UNITS, interval, shown
from translab.report import svg
from translab.report.svg import drawing, line, linear, logarithmic, path, rectangle, text

WIDTH = 440.0
"""Pixels of a figure in a column."""

OUTSIDE = 4
"""A model whose difference is this many times the usual one does not stretch the scale of the others."""


def claim_interval(record: Mapping[str, Any]) -> str | None:
    """The effect of a claim with its interval, on a scale of its own, the margin shaded; None where there is no interval."""
    bounds, metric = record["interval"], record["metric"]
    if bounds is None:
        return None
    reach = 1.12 * max(abs(bounds[0]), abs(bounds[1]), record["margin"])
    x = linear((-reach, reach), (8, 232))
    kind = {"supported": "better", "refuted": "worse"}.get(record["verdict"], "unclear")
    marks = [
        rectangle(x(-record["margin"]), 4, x(record["margin"]) - x(-record["margin"]), 22, "band"),
        line(x(0), 2, x(0), 30, "zero"),
        line(x(bounds[0]), 15, x(bounds[1]), 15, f"interval {kind}"),
        svg.circle(x(record["effect"]), 15, 5, f"point {kind}"),
        text(x(0), 42, "0", "small", "middle"),
    ]
    described = f"Effect {shown(record['effect'], metric, sign=True)}, interval {interval(bounds, metric, sign=True)}"
    left, right = ("better", "worse") if BETTER[metric] < 0 else ("lower", "higher")
    marks.append(text(8, 42, f"← {left}", "small"))
    marks.append(text(232, 42, f"{right} →", "small", "end"))
    return drawing(240, 46, f"{described}; margin {record['margin']:g}.", marks)


def forest_domain(records: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """A range that shows most differences well; models far outside it are drawn as an arrow at the edge."""
    extents = sorted(max(abs(value) for value in _reach(record)) for record in records if record["difference"])
    if not extents:
        return (-1.0, 1.0)
    usual = extents[(len(extents) - 1) // 2]
    widest = max(extent for extent in extents if extent <= max(OUTSIDE * usual, extents[0]))
    return (-1.08 * widest, 1.08 * widest) if widest > 0 else (-1.0, 1.0)


def _reach(record: Mapping[str, Any]) -> list[float]:
    difference = record["difference"]
    return [difference["estimate"], *(difference.get("interval") or []), *difference["raw"]]


def forest(title: str, records: Sequence[Mapping[str, Any]], metric: str, domain: tuple[float, float]) -> str:
    """Differences from the base: the interval, its estimate, and one ring a seed."""
    x = linear(domain, (12, WIDTH - 12))
    row, top = 46, 12
    height = top + row * len(records) + 40
    marks = [line(x(tick), top, x(tick), height - 36, "gridline") for tick in svg.ticks(domain, 5)]
    marks.append(line(x(0), top, x(0), height - 36, "zero"))
    for index, record in enumerate(records):
        y = top + row * index
        difference = record["difference"]
        marks.append(text(12, y + 14, record["name"], "strong"))
        if not difference:
            marks.append(text(WIDTH - 12, y + 14, "cannot be compared", "small", "end"))
            continue
        kind = difference["word"] if difference["word"] in ("better", "worse") else "unclear"
        colour = {"better": "good", "worse": "bad"}.get(kind, "open")
        value = f"{shown(difference['estimate'], difference['metric'], sign=True)}  {difference['word']}"
        marks.append(text(WIDTH - 12, y + 14, value, colour, "end"))
        marks.extend(_row(difference, kind, x, domain, y + 31))
    marks.extend(text(x(tick), height - 22, svg.label(tick), "small", "middle") for tick in svg.ticks(domain, 5))
    marks.append(text(WIDTH / 2, height - 5, f"difference from {BASE} in {UNITS[metric]}", "small", "middle"))
    told = "; ".join(
        f"{record['name']} {shown(record['difference']['estimate'], metric, sign=True)} ({record['difference']['word']})"
        for record in records
        if record["difference"]
    )
    return drawing(WIDTH, height, f"{title}: difference from {BASE} in {UNITS[metric]}. {told}.", marks)


def _row(difference: Mapping[str, Any], kind: str, x: svg.Scale, domain: tuple[float, float], y: float) -> list[str]:
    low, high = difference.get("interval") or (difference["estimate"], difference["estimate"])
    if not domain[0] <= difference["estimate"] <= domain[1]:
        edge, inwards = (x(domain[0]), 14) if difference["estimate"] < domain[0] else (x(domain[1]), -14)
        arrow = [(edge + inwards, y - 5), (edge, y), (edge + inwards, y + 5)]
        return [path(arrow, f"curve interval {kind}"), line(edge, y, edge + 3 * inwards, y, f"interval {kind}")]
    marks = [line(x(low), y, x(high), y, f"interval {kind}")] if difference.get("interval") else []
    marks.extend(svg.circle(x(value), y, 3.2, "seed") for value in difference["raw"] if domain[0] <= value <= domain[1])
    return [*marks, svg.circle(x(difference["estimate"]), y, 5, f"point {kind}")]


def curves(
    name: str, runs: Sequence[Sequence[Mapping[str, float]]], mean: Sequence[Mapping[str, Any]], box: Mapping[str, Any]
) -> str:
    """Training and validation loss of one model: thin for each seed, thick for their mean; the y axis is logarithmic.

    Args:
        name: of the model.
        runs: one history a seed.
        mean: the mean over seeds.
        box: {steps: last step, low: smallest loss, high: largest loss} of all models, so that their figures can be compared.
    """
    width, height, left, bottom = 260.0, 170.0, 34.0, 140.0
    x = linear((0, box["steps"]), (left, width - 8))
    y = logarithmic((box["low"], box["high"]), (bottom, 22))
    losses = [loss for loss in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if box["low"] <= loss <= box["high"]]
    marks = [text(4, 13, name, "strong name")]
    for loss in losses:
        marks.append(line(left, y(loss), width - 8, y(loss), "gridline"))
        marks.append(text(left - 5, y(loss) + 4, svg.label(loss), "small", "end"))
    marks.extend(
        text(x(step), bottom + 15, svg.label(step), "small", "end" if step == box["steps"] else "middle")
        for step in svg.ticks((0, box["steps"]), 3)
    )
    for kind in ("train", "valid"):
        key = f"{kind}_loss"
        marks.extend(path([(x(row["step"]), y(row[key])) for row in history if key in row], f"thin {kind}") for history in runs)
        marks.append(path([(x(row["step"]), y(row[key])) for row in mean if row[key] is not None], f"curve {kind}"))
    last = mean[-1] if mean else {"train_loss": None, "valid_loss": None}
    told = (
        f"at the last common step training {shown(last['train_loss'], 'loss')}, validation {shown(last['valid_loss'], 'loss')}"
    )
    return drawing(width, height, f"Loss of {name} over training steps: {told}.", marks)


def attention(sentence: Mapping[str, Any], weights: Sequence[Sequence[float]], cell: float, labelled: bool, name: str) -> str:
    """A cross-attention map: how much each target token (row) looks at each source token (column).

    Args:
        sentence: {source_tokens, target_tokens}.
        weights: [target][source], each row sums to 1.
        cell: pixels of one cell.
        labelled: whether to write the tokens.
        name: which head or layer it is.
    """
    sources, targets = ([_readable(token) for token in sentence[f"{side}_tokens"]] for side in ("source", "target"))
    strongest = max(max(row) for row in weights)
    left = 12.0 + 8.5 * max(_span(token) for token in targets) if labelled else 2.0
    top = 14.0 + 7.5 * max(_span(token) for token in sources) if labelled else 16.0
    marks = [] if labelled else [text(2, 11, name, "small")]
    for column, token in enumerate(sources if labelled else []):
        marks.append(text(left + cell * (column + 0.65), top - 6, token, "", "start", -60))
    for row, token in enumerate(targets if labelled else []):
        marks.append(text(left - 6, top + cell * (row + 0.72), token, "", "end"))
    for row, values in enumerate(weights):
        for column, value in enumerate(values):
            if value >= 0.02 * strongest:
                marks.append(rectangle(left + cell * column, top + cell * row, cell, cell, "weight", value / strongest))
    marks.append(rectangle(left, top, cell * len(sources), cell * len(targets), "frame"))
    room = 4.0 * max(_span(token) for token in sources) if labelled else 2.0
    width, height = left + cell * len(sources) + room, top + cell * len(targets) + 2
    return drawing(width, height, f"Cross-attention, {name}: {' '.join(targets)} looking at {' '.join(sources)}.", marks)


def _readable(token: str) -> str:
    """A token without the sign that begins a word."""
    return token.removeprefix("▁") or "␣"


def _span(token: str) -> float:
    """Rough width of a token in Latin letters: a Chinese character is about two."""
    return sum(1.8 if ord(character) > 0x2E80 else 1.0 for character in token)
