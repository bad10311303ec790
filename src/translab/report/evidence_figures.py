"""The figures of a claim's evidence: losses of its arms over training, accuracy by position, and where its arms look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.results import Run
from translab.comparison.rounding import shown
from translab.report import figures, series
from translab.report.series import BOTTOM, LEFT, RIGHT, TOP, Frame, Series
from translab.report.svg import linear, logarithmic

HUES = ("hue-a", "hue-b", "hue-c", "hue-d")
"""Hues of arms, in the contrast's order."""

POINTS = 12
"""A line has about as many marks at most: of a longer history every n-th validation is drawn."""

CELL = 15.0
"""Pixels of a cell of an attention map."""

MAPS = 2
"""With more arms than this no attention is shown."""

LONGEST = 16
"""Types of the source in an attention map; a longer sentence would not fit a column."""


def curves(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Training and validation loss of some arms over updates, means over seeds; None where one has no history or too many.

    Args:
        names: the arms.
        rows: mean losses by name and step.
    """
    histories = {name: [row for row in rows if row["name"] == name and row["step"] > 0] for name in names}
    if len(names) > len(HUES) or any(len(history) < 2 for history in histories.values()):
        return None
    drawn = []
    for hue, (name, history) in zip(HUES, histories.items(), strict=False):
        every = -(-len(history) // POINTS)
        kept = list(reversed(history[::-1][::every]))
        for what, key, look in (("validation", "valid_loss", "filled"), ("training", "train_loss", "dotted")):
            points = [(row["step"], {"mean": row[key], "interval": None}) for row in kept if row[key]]
            drawn.append(Series(f"{name}, {what}", f"{hue} {look}", points))
    losses = [measured["mean"] for one in drawn for _, measured in one.points]
    if not losses or min(losses) <= 0:
        return None
    steps = [step for one in drawn for step, _ in one.points]
    low, high = 0.9 * min(losses), 1.1 * max(losses)
    frame = Frame(
        linear((0, max(steps)), (LEFT, RIGHT - 8)),
        logarithmic((low, high), (BOTTOM, TOP)),
        series.ticked((0, max(steps)), 5),
        {loss: f"{loss:g}" for loss in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= loss <= high},
        "updates",
        "loss in nats per token, logarithmic",
    )
    last = "; ".join(f"{one.name} {shown(one.points[-1][1]['mean'], 'loss')}" for one in drawn if one.points)
    return series.chart(frame, drawn, None, f"Losses over training, at the end: {last}.", beside=False)


def positions(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    """Accuracy by position of the target: filled with the reference's words before it, dotted with the arm's own."""
    if len(found) > len(HUES):
        return None
    drawn = [
        Series(
            f"{name}, {what}",
            f"{hue} {look}",
            [(row["position"], {"mean": row[key], "interval": None}) for row in rows if row[key] is not None],
        )
        for hue, (name, rows) in zip(HUES, found.items(), strict=False)
        for what, key, look in (("given the reference", "forced", "filled"), ("given its own words", "free", "dotted"))
    ]
    furthest = max(position for one in drawn for position, _ in one.points)
    frame = Frame(
        linear((0.5, furthest + 0.5), (LEFT, RIGHT)),
        linear((0, 100), (BOTTOM, TOP)),
        {1.0: "1"} | {tick: label for tick, label in series.ticked((1, furthest), 6).items() if tick > 1},
        series.ticked((0, 100), 5),
        "position in the target",
        "right types %",
    )
    told = series.told(drawn, "percent", "th type")
    return series.chart(frame, drawn, None, f"Right types by position: {told}.", beside=False)


def attention(runs: Mapping[str, Run]) -> list[dict[str, str]]:
    """Cross-attention of every arm for the same source sentence: the last layer, the mean of its heads.

    The sentence is the first that all arms kept and did not translate alike; where there is none, the first that all kept.

    Args:
        runs: the first run of each arm.
    """
    kept = {name: {sentence["index"]: sentence for sentence in run.attention} for name, run in runs.items()}
    shared = [
        index
        for index, sentence in next(iter(kept.values())).items()
        if all(index in found for found in kept.values()) and len(sentence["source_tokens"]) <= LONGEST
    ]
    if not shared or len(kept) > MAPS:
        return []
    differing = [index for index in shared if len({tuple(found[index]["target_tokens"]) for found in kept.values()}) > 1]
    index = (differing or shared)[0]
    return [
        {
            "name": name,
            "figure": figures.attention(found[index], mean_of_heads(found[index]["weights"][-1]), CELL, True, name),
        }
        for name, found in kept.items()
    ]


def mean_of_heads(layer: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    """[heads][target][source] to [target][source]."""
    return [[sum(column) / len(column) for column in zip(*rows, strict=True)] for rows in zip(*layer, strict=True)]
