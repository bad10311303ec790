"""The tables of transfer: the ladder in numbers, initialisations side by side, the learning curve, what vocabularies share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from translab.comparison.results import BASE
from translab.comparison.rounding import LABELS, interval, shown
from translab.comparison.thresholds import told
from translab.report.sheets import Table, table
from translab.report.tables import word

Record = Mapping[str, Any]

TRAINED = {"never": "frozen", "always": "tuned", "gradually": "unfrozen gradually"}
"""What happens to layers that came from a donor."""

CONTROLS = {"data.add_a": "trained on A and B together", "optimisation.updates": "{} updates"}
"""Axis of a variant that stands beside scratch among the initialisations, and what it is, given its value."""

HOW_OFTEN_MEASURED = "optimisation.validate_every"
"""What such a variant may change besides, since the model is the same."""

ORDER = "Ro"
"""First letters of the kinds of donors that learned nothing from A, which stand before those that did: random, one-hot."""


def between(measured: Record | None, metric: str) -> str:
    """A mean and its interval in one cell."""
    if measured is None:
        return "–"
    return f"{shown(measured['mean'], metric)} ({interval(measured['interval'], metric).replace(' to ', '–')})"


def ladder(records: Sequence[Record], metric: str) -> Table:
    """Score by depth: one row for each kind, donor and ladder."""
    depths = sorted({record["shallow_layers"] for record in records})
    rows: dict[tuple[str, str, str, str], dict[int, Record]] = {}
    for record in records:
        key = (record["ladder"], record["kind"], record["method"], record["surgery"])
        rows.setdefault(key, {})[record["shallow_layers"]] = record["scores"][metric]
    keys = sorted(rows, key=lambda key: (key[0], key[2], key[1]))
    columns = {
        "kind": [kind for _, kind, _, _ in keys],
        "ladder": [name for name, _, _, _ in keys],
        "layers from": [source for _, _, source, _ in keys],
        "surgery": [surgery for _, _, _, surgery in keys],
        **{f"n = {depth}": [between(rows[key].get(depth), metric) for key in keys] for depth in depths},
    }
    return table(columns, [f"n = {depth}" for depth in depths])


def initialisations(transfers: Sequence[Record], ablations: Sequence[Record]) -> list[tuple[str, Record]]:
    """(what it starts from, record): scratch and its controls, random layers, one-hot, then each method at its own depth.

    A method's own depth is the deepest that was trained on the ladder that takes most of it: both sides, else its one side.
    Random layers stand there at every ladder and depth at which a method stands, since only they are its control (random
    embeddings of both sides are none for word vectors of one), and at their own and at depth 1 in any case.
    """
    rows: list[tuple[str, Record]] = [("scratch", record) for record in ablations if record["name"] == BASE]
    pairs = {record.get("training_pairs") for _, record in rows}
    for record in ablations:
        what = _control(record)
        if what and record["training_pairs"] in pairs:
            rows.append((what, record))
    donors = [record for record in transfers if not record["kind"].startswith("B")]
    kinds = {record["method"]: record["kind"][0] for record in donors}
    sources = sorted(kinds, key=lambda name: (ORDER + kinds[name]).index(kinds[name]))
    random = [name for name in sources if kinds[name] == "R"]
    own = {source: _own_place(record for record in donors if record["method"] == source) for source in sources}
    for source in sources:
        ladder, deepest = own[source]
        places = {(1, ladder), (deepest, ladder), *((depth, name) for name, depth in own.values())}
        for depth, name in sorted(places) if source in random else [(deepest, ladder)]:
            what = source
            if source in random:
                what = "random embeddings" if depth == 1 else "random layers"
                what += f" ({source})" if len(random) > 1 else ""
            here = [record for record in donors if (record["ladder"], record["shallow_layers"]) == (name, depth)]
            rows.extend((what, record) for record in here if record["method"] == source)
    return rows


def _control(record: Record) -> str | None:
    """What a variant is that stands beside scratch; None for any other, and for another model with other updates."""
    if not record["axis"]:
        return None
    changed = dict(zip(record["axis"].split("+"), record["value"].split(", "), strict=True))
    if not changed.keys() <= {*CONTROLS, HOW_OFTEN_MEASURED}:
        return None
    values = {axis: f"{int(value):,}" if value.isdecimal() else value for axis, value in changed.items()}
    found = [what.format(values[axis]) for axis, what in CONTROLS.items() if axis in values]
    return f"scratch, {', '.join(found)}" if found else None


def _own_place(records: Iterable[Record]) -> tuple[str, int]:
    """Ladder and depth at which a source stands beside the others."""
    depths: dict[str, int] = {}
    for record in records:
        depths[record["ladder"]] = max(record["shallow_layers"], depths.get(record["ladder"], 0))
    ladder = next(name for name in ("joint", "encoder", "decoder") if name in depths)
    return ladder, depths[ladder]


def initialisation(rows: Sequence[tuple[str, Record]], metric: str) -> Table:
    """Every initialisation: score, BLEU, and how soon it is as good as scratch at its best."""
    records = [record for _, record in rows]
    columns = {
        "starts from": [what for what, _ in rows],
        "ladder, n": [f"{record['ladder']} {record['shallow_layers']}" if record.get("ladder") else "–" for record in records],
        "given layers": [TRAINED[record["train"]] if record.get("train") else "–" for record in records],
        LABELS[metric]: [between(record["scores"].get(metric), metric) for record in records],
        f"vs {BASE}": [shown((record["difference"] or {}).get("estimate"), metric, sign=True) for record in records],
        "word": [word(record) for record in records],
        "updates to threshold": [told(record["updates_to_threshold"]) for record in records],
        **({} if metric == "bleu" else {LABELS["bleu"]: [between(record["scores"].get("bleu"), "bleu") for record in records]}),
    }
    return table(columns, [title for title in columns if title not in ("starts from", "ladder, n", "given layers", "word")])


def pairs(lines: Mapping[str, Mapping[int, Record]], sizes: Sequence[int], metric: str) -> Table:
    """Score by number of training pairs, and each transfer's difference from scratch at the same number."""
    columns: dict[str, list[str]] = {"training pairs": [f"{size:,}" for size in sizes]}
    for name, found in lines.items():
        columns[name] = [between(found[size]["scores"][metric], metric) if size in found else "–" for size in sizes]
        if name != "scratch":
            columns[f"{name}: vs scratch"] = [_against(found.get(size)) if size in lines["scratch"] else "–" for size in sizes]
    return table(columns, list(columns))


def _against(record: Record | None) -> str:
    """The difference from scratch at the same number of pairs (the base, where none is named), and what it says."""
    found = (record or {}).get("against_scratch") or (record or {}).get("difference")
    if not found:
        return "–"
    bounds = interval(found.get("interval"), found["metric"], sign=True)
    return f"{shown(found['estimate'], found['metric'], sign=True)} ({bounds}), {found['word']}"


def copied(records: Sequence[Record]) -> Table:
    """What matching by spelling found, where donor and model have different vocabularies."""
    found = [record for record in records if (record.get("transferred") or {}).get("fresh_rows")]
    rows = [record["transferred"] for record in found]
    columns = {
        "model": [record["name"] for record in found],
        "rows copied": [f"{row['copied_rows']:,}" for row in rows],
        "rows fresh": [f"{row['fresh_rows']:,}" for row in rows],
        "copied %": [shown(100 * row["copied_rows"] / (row["copied_rows"] + row["fresh_rows"]), "percent") for row in rows],
    }
    return table(columns, [title for title in columns if title != "model"])
