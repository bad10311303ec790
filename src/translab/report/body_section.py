"""The page's section on bodies: the Transformer beside recurrent networks on the same tokens, each at its own best rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison import bodies
from translab.comparison.probes import CHANCE
from translab.comparison.results import BASE
from translab.comparison.rounding import LABELS, interval, shown
from translab.comparison.testsets import PROBE
from translab.report import series
from translab.report.series import BOTTOM, LEFT, RIGHT, TOP, Frame, Series
from translab.report.sheets import Table, table
from translab.report.svg import linear, logarithmic
from translab.report.tables import word

Record = Mapping[str, Any]

LOOKS = ("hue-a filled", "hue-b hollow", "hue-c dotted", "hue-d filled")
DISTANCE = f"{PROBE}long-distance"


def contents(
    ablations: Sequence[Record], elsewhere: Sequence[Record], lengths: Mapping[str, Sequence[Record]], metric: str
) -> dict[str, Any] | None:
    """Everything that the section shows; None where there is only one body.

    Args:
        ablations: the records of `reports/ablations.json`.
        elsewhere: those of `reports/probes.json`.
        lengths: name to its score in each bucket of sentence length.
        metric: the primary one.
    """
    chosen = bodies.chosen(ablations)
    if not chosen:
        return None
    names = {record["name"]: record["body"] for record in chosen}
    parts = {
        names[record["name"]]: {int(part["part"]): part for part in record["parts"]}
        for record in elsewhere
        if record["set"] == DISTANCE and record["name"] in names and record["parts"]
    }
    return {
        "table": compared(chosen, metric),
        "lengths": by_length({body: lengths[name] for name, body in names.items() if name in lengths}, metric),
        "distance": _distance(parts),
        "memory": _memory({record["body"]: record["memory"] for record in chosen if record["memory"]}),
    }


def compared(chosen: Sequence[Record], metric: str) -> Table:
    """Score of each body at its best rate, and the rates that were tried."""
    scores = [record["scores"].get(metric) or {} for record in chosen]
    columns = {
        "body": [record["body"] for record in chosen],
        "best rate": [f"{record['learning_rate']:g}" for record in chosen],
        "rates tried (valid loss)": [
            ", ".join(f"{rate:g} ({shown(loss, 'loss')})" for rate, loss in sorted(record["rates"].items()))
            for record in chosen
        ],
        LABELS[metric]: [shown(found.get("mean"), metric) for found in scores],
        "interval": [interval(found.get("interval"), metric) for found in scores],
        f"vs {BASE}": [shown((record["difference"] or {}).get("estimate"), metric, sign=True) for record in chosen],
        "word": [word(record) for record in chosen],
        "valid loss": [shown(record["best_valid_loss"], "loss") for record in chosen],
        "parameters": [f"{record['parameters']['total']:,}" for record in chosen],
    }
    return table(columns, ["best rate", LABELS[metric], "interval", f"vs {BASE}", "valid loss", "parameters"])


def by_length(found: Mapping[str, Sequence[Record]], metric: str) -> Table:
    """Mean score over seeds in each bucket of sentence length, in source words."""
    buckets = next(iter(found.values()), [])
    heads = [
        f"{bucket['lower']}–{bucket['upper']} words" if bucket["upper"] else f"{bucket['lower']}+ words" for bucket in buckets
    ]
    columns = {head: [shown(row[index]["score"], metric) for row in found.values()] for index, head in enumerate(heads)}
    return table({"body": list(found), **columns}, heads)


def _distance(parts: Mapping[str, Mapping[int, Record]]) -> str | None:
    """Forced choice against the words between two that depend on each other; chance is the dashed line."""
    if not parts:
        return None
    drawn = [
        Series(body, LOOKS[index % len(LOOKS)], [(distance, part) for distance, part in sorted(found.items())])
        for index, (body, found) in enumerate(parts.items())
    ]
    measures = [measured for one in drawn for _, measured in one.points]
    low, high = series.reach([*measures, {"mean": CHANCE, "interval": None}])
    domain = (low, min(high, 101.0))
    distances = sorted({int(x) for one in drawn for x, _ in one.points})
    frame = Frame(
        linear((distances[0] - 0.5, distances[-1] + 0.5), (LEFT, RIGHT)),
        linear(domain, (BOTTOM, TOP)),
        {float(distance): str(distance) for distance in distances},
        series.ticked(domain, 5),
        "words apart",
        "forced choice %, long distance",
    )
    told = series.told(drawn, "choice", "apart")
    described = f"Forced choice by distance in words: {told}."
    return series.chart(frame, drawn, ("chance", {"mean": CHANCE, "interval": None}), described)


def _memory(found: Mapping[str, Sequence[Record]]) -> str | None:
    """The norm of the derivative of a state with respect to a type k places before it, over that at k = 1, against k."""
    drawn = [
        Series(
            body,
            LOOKS[index % len(LOOKS)],
            [
                (entry["distance"], {"mean": entry["relative"], "interval": entry["relative_interval"]})
                for entry in curve
                if entry["relative"] is not None
            ],
        )
        for index, (body, curve) in enumerate(found.items())
    ]
    drawn = [one for one in drawn if one.points]
    if not drawn:
        return None
    norms = [value for one in drawn for _, m in one.points for value in (m["mean"], *(m["interval"] or []))]
    furthest = max(x for one in drawn for x, _ in one.points)
    powers = [10.0**power for power in range(-30, 10) if 0.8 * min(norms) <= 10.0**power <= 1.25 * max(norms)]
    if len(powers) > 6:
        powers = powers[:: -(-len(powers) // 6)]
    frame = Frame(
        linear((0.5, furthest + 0.5), (LEFT, RIGHT)),
        logarithmic((0.8 * min(norms), 1.25 * max(norms)), (BOTTOM, TOP)),
        {float(bodies.FIRST): str(bodies.FIRST)} | series.ticked((bodies.FIRST, furthest), 8),
        {power: _power(power) for power in powers},
        "k: types before the last",
        "‖∂h(T) / ∂x(T−k)‖ over that at k = 1, logarithmic",
    )
    told = "; ".join(f"{one.name} from {one.points[0][1]['mean']:g} to {one.points[-1][1]['mean']:g}" for one in drawn)
    return series.chart(
        frame, drawn, None, f"How strongly a type moves the last state, relative to k = 1, by distance: {told}.", beside=False
    )


def _power(value: float) -> str:
    """A power of ten as text.

    >>> _power(0.0001), _power(1.0)
    ('10⁻⁴', '1')
    """
    exponent = round(math.log10(value))
    return "1" if exponent == 0 else "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
