"""Figures of probes: forced choice against distance, and a claim's models seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.probes import CHANCE
from translab.comparison.rounding import LABELS, shown
from translab.report import svg
from translab.report.svg import drawing, line, linear, path, text


def by_distance(record: Mapping[str, Any], base: Mapping[str, Any] | None, box: Mapping[str, float]) -> str:
    """Forced choice of one model against the words between two that depend on each other; the base as a dashed line.

    Args:
        record: one of `reports/probes.json`, in parts.
        base: the base's, or None.
        box: {near, far: shortest and longest distance, low: smallest percent} of all models, so that they can be compared.
    """
    width, height, left, bottom = 260.0, 178.0, 34.0, 138.0
    x = linear((box["near"] - 0.4, box["far"] + 0.4), (left, width - 8))
    y = linear((box["low"], 100.0), (bottom, 26))
    marks = [text(4, 13, record["name"], "strong name")]
    for percent in svg.ticks((box["low"], 100.0), 4):
        marks.append(line(left, y(percent), width - 8, y(percent), "gridline"))
        marks.append(text(left - 5, y(percent) + 4, svg.label(percent), "small", "end"))
    marks.append(line(left, y(CHANCE), width - 8, y(CHANCE), "zero"))
    marks.extend(
        text(x(distance), bottom + 16, svg.label(distance), "small", "middle")
        for distance in svg.ticks((box["near"], box["far"]), 6)
        if distance == int(distance)
    )
    marks.append(text((left + width - 8) / 2, bottom + 32, "words apart", "small", "middle"))
    if base is not None and base["name"] != record["name"]:
        marks.append(path([(x(float(part["part"])), y(part["mean"])) for part in base["parts"]], "baseline unfilled"))
    for part in record["parts"]:
        if part["interval"]:
            at, (low, high) = x(float(part["part"])), part["interval"]
            marks.append(line(at, y(low), at, y(high), "whisker"))
    marks.append(path([(x(float(part["part"])), y(part["mean"])) for part in record["parts"]], "curve valid"))
    marks.extend(svg.circle(x(float(part["part"])), y(part["mean"]), 3, "point") for part in record["parts"])
    told = "; ".join(f"{part['part']} apart {shown(part['mean'], record['metric'])}" for part in record["parts"])
    return drawing(width, height, f"Forced choice of {record['name']} by distance in words: {told}.", marks)


def by_seed(claim: Mapping[str, Any], chance: float | None) -> str | None:
    """Each seed's score of each model of a claim as a ring, the mean as a dot; None where nothing was measured.

    Args:
        claim: a record of `reports/claims.json`.
        chance: the level that guessing reaches, drawn as a line.
    """
    scores: dict[str, Sequence[float]] = {name: raw for name, raw in (claim["raw"] or {}).items() if None not in raw}
    if not scores:
        return None
    seen = [score for raw in scores.values() for score in raw] + ([] if chance is None else [chance])
    room = 0.08 * (max(seen) - min(seen)) or 1.0
    domain = (min(seen) - room, max(seen) + room)
    width, row, top = 340.0, 34, 6
    height = top + row * len(scores) + 36
    x = linear(domain, (12, width - 12))
    marks = [line(x(tick), top, x(tick), height - 34, "gridline") for tick in svg.ticks(domain, 5)]
    means = []
    for index, (name, raw) in enumerate(scores.items()):
        y, mean = top + row * index + 24, sum(raw) / len(raw)
        means.append(f"{name} {', '.join(shown(score, claim['metric']) for score in raw)}")
        marks.append(text(12, y - 10, name, "name"))
        if chance is not None:
            marks.append(line(x(chance), y - 8, x(chance), y + 8, "zero"))
        marks.append(svg.circle(x(mean), y, 4.5, "point" if claim["runs"][name] > 0 else "point second"))
        marks.extend(svg.circle(x(score), y, 3.2, "seed") for score in raw)
    marks.extend(text(x(tick), height - 20, svg.label(tick), "small", "middle") for tick in svg.ticks(domain, 5))
    marks.append(text(width / 2, height - 4, LABELS[claim["metric"]], "small", "middle"))
    return drawing(width, height, f"Scores by seed: {'; '.join(means)}.", marks)
