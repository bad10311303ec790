"""Figures of sense separation: AUC of each method's vectors word by word, and the vectors of one word, coloured by sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.intrinsic import CHANCE
from translab.comparison.rounding import interval, shown
from translab.report import svg
from translab.report.svg import drawing, line, linear, path, text

ROW, TOP, LEFT, WIDTH = 40, 10, 12.0, 440.0


def separation(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """AUC for each kind of vector: interval and mean, one ring a word, and a line at that of static vectors.

    Args:
        rows: (what the vectors are, `model` or `control`, {mean, interval, words}).
    """
    seen = [value for _, _, found in rows for value in [*found["words"].values(), *(found["interval"] or [found["mean"]])]]
    domain = (min(0.4, *seen) - 0.02, 1.02)
    x = linear(domain, (LEFT, WIDTH - LEFT))
    height = TOP + ROW * len(rows) + 38
    ticks = [tick for tick in svg.ticks(domain, 6) if tick <= 1]
    marks = [line(x(tick), TOP, x(tick), height - 34, "gridline") for tick in ticks]
    marks.append(line(x(CHANCE), TOP, x(CHANCE), height - 34, "zero"))
    for index, (name, kind, found) in enumerate(rows):
        y, hue = TOP + ROW * index + 28, "hue-a" if kind == "model" else "hue-scratch"
        marks.append(text(LEFT, y - 12, name, "name halo"))
        value = f"{shown(found['mean'], 'auc')} ({interval(found['interval'], 'auc').replace(' to ', '–')})"
        marks.append(text(WIDTH - LEFT, y - 12, value, "small halo", "end"))
        marks.extend(svg.circle(x(value), y, 3, "seed") for value in found["words"].values())
        if found["interval"]:
            low, high = found["interval"]
            marks.append(line(x(low), y, x(high), y, f"bar {hue}"))
        marks.append(svg.circle(x(found["mean"]), y, 4.6, f"mark filled {hue}"))
    marks.extend(text(x(tick), height - 19, svg.label(tick), "small", "middle") for tick in ticks)
    marks.append(text(WIDTH / 2, height - 4, "AUC (upright line: static vectors)", "small", "middle"))
    told = "; ".join(f"{name} {shown(found['mean'], 'auc')} ({interval(found['interval'], 'auc')})" for name, _, found in rows)
    return drawing(WIDTH, height, f"Sense separation, AUC; that of static vectors is 0.5: {told}.", marks)


def scatter(name: str, points: Sequence[Mapping[str, Any]]) -> str:
    """The vectors of one word on two axes: discs for the one sense, squares for the other.

    Args:
        name: of the method.
        points: {form, sense, x, y}.
    """
    width, height, edge = 260.0, 236.0, 12.0
    senses = list(dict.fromkeys(point["sense"] for point in points))
    # One scale for both axes: distances are what the figure shows.
    spans = [(min(p[axis] for p in points), max(p[axis] for p in points)) for axis in ("x", "y")]
    half = 0.5 * max(high - low for low, high in spans) or 1.0
    middles = [(low + high) / 2 for low, high in spans]
    x = linear((middles[0] - half, middles[0] + half), (edge + 18, width - edge - 18))
    y = linear((middles[1] - half, middles[1] + half), (206, 26))
    marks = [text(4, 14, name, "strong name")]
    for point in points:
        number = senses.index(point["sense"])
        marks.append(_dot(x(point["x"]), y(point["y"]), number))
    for number, sense in enumerate(senses):
        at = edge + number * (width - 2 * edge) / max(2, len(senses))
        marks += [_dot(at + 4, height - 9, number), text(at + 13, height - 5, sense, "small")]
    counts = ", ".join(f"{sum(point['sense'] == sense for point in points)} of {sense}" for sense in senses)
    return drawing(width, height, f"Vectors of {points[0]['form']} by {name}, two principal components: {counts}.", marks)


def _dot(x: float, y: float, number: int) -> str:
    """A disc for an even sense, a square for an odd one: told apart without colours too."""
    if number % 2:
        return path(
            [(x - 3, y - 3), (x + 3, y - 3), (x + 3, y + 3), (x - 3, y + 3), (x - 3, y - 3)], f"sense hue-{'abcd'[number % 4]}"
        )
    return svg.circle(x, y, 3.4, f"sense hue-{'abcd'[number % 4]}")
