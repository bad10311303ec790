"""The page's section on transfer: the ladder of depths, the initialisations side by side, the learning curve over pairs.

Every number comes from the records of `reports/transfer.json` and `reports/ablations.json`; what has no runs does not appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from translab.comparison.results import BASE
from translab.comparison.rounding import LABELS, shown
from translab.comparison.transfers import LADDERS, PAIRS
from translab.report import series, transfer_tables
from translab.report.series import BOTTOM, LEFT, RIGHT, TOP, Frame, Series
from translab.report.svg import linear, logarithmic

Record = Mapping[str, Any]

HUES = {"A": "hue-a", "B": "hue-b", "R": "hue-c"}
LINES = {"never": "hollow", "always": "filled", "gradually": "dotted"}
PALETTE = ("hue-a", "hue-b", "hue-c", "hue-d")


def contents(transfers: Sequence[Record], ablations: Sequence[Record], metric: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Everything that the section shows.

    Args:
        transfers, ablations: the records of both reports.
        metric: the primary one.
        sizes: pairs of task B by split.
    """
    base = next(record for record in ablations if record["name"] == BASE)
    scored = [record for record in transfers if metric in record["scores"]]
    whole = [record for record in scored if record["training_pairs"] == base.get("training_pairs")]
    chosen = transfer_tables.initialisations(whole, ablations)
    return {
        "panels": _panels(whole, base, metric) if metric in base["scores"] else [],
        "ladder": transfer_tables.ladder(whole, metric),
        "initialisation": transfer_tables.initialisation(chosen, metric) if whole else None,
        "threshold": (base.get("updates_to_threshold") or {}).get("threshold"),
        "copied": transfer_tables.copied(scored),
        "pairs": _pairs(scored, ablations, metric, sizes["train"]),
    }


def _panels(records: Sequence[Record], base: Record, metric: str) -> list[dict[str, Any]]:
    """One figure for each ladder and each donor of A; all share a scale, the donor with the most depths comes first."""
    if not records:
        return []
    domain = series.reach([record["scores"][metric] for record in [*records, base]])
    made = []
    for ladder in LADDERS:
        here = [record for record in records if record["ladder"] == ladder and record["kind"][0] in HUES]
        depths, random = (_depths(record for record in here if record["kind"].startswith(letter)) for letter in "AR")
        # A control of one depth beside a control of several is that of a donor which stands in the table alone.
        several = {name for name, found in random.items() if len(found) > 1} or set(random)
        controls = [
            record for record in here if record["like_base"] and (record["kind"].startswith("B") or record["method"] in several)
        ]
        donors = sorted((donor for donor in depths if len(depths[donor]) > 1), key=lambda donor: -len(depths[donor]))
        if not donors and len(depths) + len(controls) > 0:
            donors = sorted(depths, key=lambda donor: -len(depths[donor]))[:1] or [""]
        for rank, donor in enumerate(donors):
            lines = [record for record in here if record["method"] == donor]
            # A donor of another depth has none of the base's controls, nor the base for its model from scratch.
            alike = all(record["like_base"] for record in lines)
            lines += controls if alike else []
            name = f"{ladder}-{donor}" if donor else ladder
            figure = _panel(ladder, donor, lines, base if alike else None, metric, domain)
            made.append({"name": name, "ladder": ladder, "source": donor, "first": rank == 0, "figure": figure})
    return made


def _depths(records: Iterable[Record]) -> dict[str, set[int]]:
    """Donor to its depths."""
    depths: dict[str, set[int]] = {}
    for record in records:
        depths.setdefault(record["method"], set()).add(record["shallow_layers"])
    return depths


def _panel(
    ladder: str, donor: str, records: Sequence[Record], base: Record | None, metric: str, domain: tuple[float, float]
) -> str:
    depths = sorted({record["shallow_layers"] for record in records})
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=lambda record: (record["kind"], record["shallow_layers"])):
        groups.setdefault((record["kind"], record["method"], record["surgery"]), []).append(record)
    kinds = [kind for kind, _, _ in groups]
    lines = [
        Series(
            kind if kinds.count(kind) == 1 else f"{kind} {source} {surgery}",
            f"{HUES[kind[0]]} {LINES[members[0]['train']]}",
            [(record["shallow_layers"], record["scores"][metric]) for record in members],
        )
        for (kind, source, surgery), members in groups.items()
    ]
    frame = Frame(
        linear((depths[0] - 0.5, depths[-1] + 0.5), (LEFT, RIGHT)),
        linear(domain, (BOTTOM, TOP)),
        {float(depth): str(depth) for depth in depths},
        series.ticked(domain, 5),
        "transferred layers n (1 = embedding)",
        f"{LABELS[metric]}: {ladder} layers" + (f", A = {donor}" if donor else ""),
    )
    told = series.told(lines, metric, "n")
    described = f"{frame.heading}, against their number: {told}"
    if base is None:
        return series.chart(frame, lines, None, f"{described}.")
    scratch = base["scores"][metric]
    return series.chart(frame, lines, ("scratch", scratch), f"{described}; scratch {shown(scratch['mean'], metric)}.")


def _pairs(transfers: Sequence[Record], ablations: Sequence[Record], metric: str, whole: int) -> dict[str, Any] | None:
    """Score against the training pairs of B: from scratch, and each transfer that was trained at more than one size.

    A surgery has one size: a line joins those that differ in nothing else, and takes the name of the one with the most pairs.
    """
    scratch = {
        _size(record, whole): record
        for record in ablations
        if (record["name"] == BASE or record["axis"] == PAIRS) and metric in record["scores"]
    }
    alike: dict[tuple[Any, ...], dict[int, Record]] = {}
    for record in transfers:
        surgery = (record["method"], record["ladder"], record["shallow_layers"], record["train"], record["dropout"])
        alike.setdefault(surgery, {})[_size(record, whole)] = record
    lines = {"scratch": scratch} | {_line(found[max(found)]): found for found in alike.values()}
    lines = {name: dict(sorted(found.items())) for name, found in lines.items() if len(found) > 1}
    if "scratch" not in lines or len(lines) < 2:
        return None
    sizes = sorted({size for found in lines.values() for size in found})
    drawn = [
        Series(
            name,
            "hue-scratch hollow" if name == "scratch" else f"{PALETTE[(index - 1) % len(PALETTE)]} filled",
            [(size, record["scores"][metric]) for size, record in found.items()],
        )
        for index, (name, found) in enumerate(lines.items())
    ]
    domain = series.reach([measured for one in drawn for _, measured in one.points])
    frame = Frame(
        logarithmic((0.85 * sizes[0], sizes[-1] / 0.85), (LEFT, RIGHT)),
        linear(domain, (BOTTOM, TOP)),
        {float(size): f"{size:,}" for size in sizes},
        series.ticked(domain, 5),
        "training pairs of B (logarithmic)",
        LABELS[metric],
    )
    told = series.told(drawn, metric, "pairs")
    return {
        "figure": series.chart(frame, drawn, None, f"{LABELS[metric]} against training pairs of B: {told}."),
        "table": transfer_tables.pairs(lines, sizes, metric),
    }


def _line(record: Record) -> str:
    return f"{record['method']}, {record['ladder']} {record['shallow_layers']}, {record['surgery']}"


def _size(record: Record, whole: int) -> int:
    return whole if record["training_pairs"] == "all" else int(record["training_pairs"])
