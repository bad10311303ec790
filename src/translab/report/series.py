"""Lines with intervals: a measure against depth, against training pairs or against distance, one line for each series.

Series that share an x stand beside each other, so that their intervals can be told apart. A series is known by its hue, its
line and its mark together, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from translab.comparison.rounding import shown
from translab.report import svg
from translab.report.svg import Scale, drawing, line, path, rectangle, text

WIDTH = 440.0
"""Pixels of a figure in a column."""

LEFT, RIGHT, TOP, BOTTOM = 46.0, WIDTH - 12, 26.0, 216.0
"""The frame of the lines."""

LETTER, SAMPLE, ROW = 6.6, 46.0, 19.0
"""Pixels of a letter in the key, of the line before it with the space around it, and of a row."""


@dataclass(frozen=True)
class Series:
    """One line: `look` holds the CSS classes of its hue (`hue-a` … `hue-d`) and of its line (`hollow`, `filled`, `dotted`)."""

    name: str
    look: str
    points: Sequence[tuple[float, Mapping[str, Any]]]
    """(x, {mean, interval}) from left to right."""


@dataclass(frozen=True)
class Frame:
    """The axes: scales to pixels, ticks as {value: text}, and what the axes say."""

    x: Scale
    y: Scale
    x_ticks: Mapping[float, str]
    y_ticks: Mapping[float, str]
    x_label: str
    heading: str


def chart(
    frame: Frame,
    series: Sequence[Series],
    level: tuple[str, Mapping[str, Any]] | None,
    description: str,
    beside: bool = True,
) -> str:
    """A figure of some series.

    Args:
        frame: the axes.
        series: the lines.
        level: name and {mean, interval} of what does not depend on x: a dashed line with its band.
        description: what a reader who cannot see the figure should know.
        beside: whether series that share an x stand beside each other.
    """
    marks = [text(4, 14, frame.heading, "strong")]
    for value, label in frame.y_ticks.items():
        marks.append(line(LEFT, frame.y(value), RIGHT, frame.y(value), "gridline"))
        marks.append(text(LEFT - 7, frame.y(value) + 4, label, "small", "end"))
    marks.extend(text(frame.x(value), BOTTOM + 18, label, "small", "middle") for value, label in frame.x_ticks.items())
    marks.append(text((LEFT + RIGHT) / 2, BOTTOM + 35, frame.x_label, "small", "middle"))
    if level is not None:
        _, measured = level
        if measured["interval"]:
            low, high = (frame.y(bound) for bound in measured["interval"])
            marks.append(rectangle(LEFT, high, RIGHT - LEFT, low - high, "baseband"))
        marks.append(line(LEFT, frame.y(measured["mean"]), RIGHT, frame.y(measured["mean"]), "baseline"))
    step = _step(frame, series) if beside else 0.0
    placed = [
        [(frame.x(x) + step * (index - (len(series) - 1) / 2), measured) for x, measured in one.points]
        for index, one in enumerate(series)
    ]
    for one, points in zip(series, placed, strict=True):
        marks.append(path([(x, frame.y(measured["mean"])) for x, measured in points], f"series {one.look}"))
    for one, points in zip(series, placed, strict=True):
        for x, measured in points:
            if measured["interval"]:
                low, high = measured["interval"]
                marks.append(line(x, frame.y(low), x, frame.y(high), f"bar {one.look}"))
            marks.append(_mark(x, frame.y(measured["mean"]), one.look))
    key, rows = _key([(one.name, one.look) for one in series], level[0] if level else None)
    return drawing(WIDTH, BOTTOM + 42 + ROW * rows, description, [*marks, *key])


def _step(frame: Frame, series: Sequence[Series]) -> float:
    """How far series are moved apart, so that those of neighbouring x do not meet."""
    places = sorted({frame.x(x) for one in series for x, _ in one.points})
    nearest = min((after - before for before, after in pairwise(places)), default=RIGHT - LEFT)
    return min(8.0, 0.6 * nearest / max(1, len(series)))


def _mark(x: float, y: float, look: str) -> str:
    if "dotted" in look.split():
        return path([(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y), (x, y - 5)], f"mark {look}")
    return svg.circle(x, y, 4.2, f"mark {look}")


def _key(names: Sequence[tuple[str, str]], level: str | None) -> tuple[list[str], int]:
    """The marks of the key below the axes, and how many rows it takes."""
    entries = [*names, *([(level, "baseline")] if level else [])]
    widest = max(len(name) for name, _ in entries) * LETTER + SAMPLE
    columns = max(1, min(len(entries), int((RIGHT - LEFT + 30) / widest)))
    marks = []
    for index, (name, look) in enumerate(entries):
        x, y = LEFT - 30 + widest * (index % columns), BOTTOM + 54 + ROW * (index // columns)
        if look == "baseline":
            marks.append(line(x, y - 4, x + 26, y - 4, look))
        else:
            marks += [line(x, y - 4, x + 26, y - 4, f"series {look}"), _mark(x + 13, y - 4, look)]
        marks.append(text(x + 32, y, name, "small"))
    return marks, -(-len(entries) // columns)


def reach(measures: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """From the lowest to the highest mean or bound, with a little room."""
    seen = [value for measured in measures for value in [measured["mean"], *(measured["interval"] or [])]]
    room = 0.05 * (max(seen) - min(seen)) or 1.0
    return min(seen) - room, max(seen) + room


def ticked(domain: tuple[float, float], number: int) -> dict[float, str]:
    """Round values within a domain, as ticks."""
    return {tick: svg.label(tick) for tick in svg.ticks(domain, number)}


def told(series: Sequence[Series], metric: str, unit: str) -> str:
    """All means in words, for readers who cannot see the figure: `AnB n = 1 60.0, n = 2 58.1; …`.

    Args:
        series: the lines.
        metric: how means are rounded.
        unit: what x is called: `n` goes before it with a sign of equality, anything else after it.
    """
    place = "n = {:g}" if unit == "n" else f"{{:g}} {unit}"
    lines = []
    for one in series:
        means = [f"{place.format(x)} {shown(measured['mean'], metric)}" for x, measured in one.points]
        lines.append(f"{one.name} {', '.join(means)}")
    return "; ".join(lines)
