"""The tables of docs/statistics.md, made from the numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LOW, HIGH, ERROR = 93.0, 97.0, 5.0
"""Coverage that is as promised, and the share of wrong families that is, in percent; what lies outside is printed bold."""
BOOTSTRAPS = {"sentences": "sentences only", "nested": "nested", "crossed": "crossed"}


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """Name of each table to its Markdown."""
    rows = results["coverage"]
    return {
        "coverage": _coverage([row for row in rows if row["variances"] == "equal" and row["metric"] == "acceptance"]),
        "unequal": _coverage([row for row in rows if row["variances"] != "equal"]),
        "bleu": _coverage([row for row in rows if row["metric"] == "bleu"]),
        "bootstraps": _bootstraps([row for row in rows if row["cells"] == 20 and row["metric"] == "acceptance"]),
        "errors": _errors(results["errors"]),
        "power": _power(results["power"]),
        "permuted": _permuted(results["permuted"]),
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """Markdown; the first `words` columns are words, the others numbers."""
    line = "|" + "|".join("---" if column < words else "--:" for column in range(len(head))) + "|"
    return "\n".join(["| " + " | ".join(head) + " |", line, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _share(value: float, low: float, high: float) -> str:
    return f"{value:.1f}" if low <= value <= high else f"**{value:.1f}**"


def _coverage(rows: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({row["seeds"] for row in rows})
    found = {(row["noise"], row["cells"], row["seeds"]): row for row in rows}
    lines = []
    for noise, cells in dict.fromkeys((row["noise"], row["cells"]) for row in rows):
        shares = [_share(found[noise, cells, number]["coverage"]["translab"], LOW, HIGH) for number in seeds]
        lines.append([noise, str(cells), *shares, str(min(found[noise, cells, number]["contrasts"] for number in seeds))])
    return _table(["seed noise", "models", *(f"{number} seeds" for number in seeds), "contrasts"], lines, 1)


def _bootstraps(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        noise = row["noise"] if row["variances"] == "equal" else f"{row['noise']}, one model noisier"
        kept = [_share(row["coverage"][method], LOW, HIGH) for method in ("translab", *BOOTSTRAPS)]
        width = [f"{row['width'][method] / row['width']['translab']:.2f}" for method in BOOTSTRAPS]
        lines.append([noise, str(row["seeds"]), *kept, *width])
    widths = [f"width, {name}" for name in BOOTSTRAPS.values()]
    return _table(["seed noise", "seeds", "translab", *BOOTSTRAPS.values(), *widths], lines, 1)


def _looks(row: Mapping[str, Any]) -> str:
    return ", ".join(str(look) for look in row["looks"])


def _errors(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            row["kind"],
            row["noise"],
            _looks(row),
            str(row["family"]),
            _share(row["family_errors"], 0.0, ERROR),
            f"{row['claim_errors']:.1f}",
            str(row["families"]),
        ]
        for row in rows
    ]
    head = ["kind", "seed noise", "decided at seeds", "claims", "families wrong %", "claims wrong %", "families"]
    return _table(head, lines, 3)


def _power(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            row["noise"],
            _looks(row),
            str(row["family"]),
            f"{row['minimum_detectable_effect']:.1f}",
            f"{row['power']:.0f}",
            f"{row['power_early']:.0f}" if len(row["looks"]) > 1 else "–",
            f"{row['seeds']:.1f}",
            str(row["worlds"]),
        ]
        for row in rows
    ]
    head = ["seed noise", "decided at seeds", "claims", "stated", "found %", "of these early", "seeds used", "grids"]
    return _table(head, lines, 2)


def _permuted(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "No trained runs were at hand.\n"
    lines = [
        [f"`{row['name']}`", row["verdict"], f"{row['supported']:.1f}", f"{row['refuted']:.1f}"] for row in found["claims"]
    ]
    everything = ["**all**", "", _share(found["supported"], 0.0, ERROR), f"{found['refuted']:.1f}"]
    return _table(["claim", "with the real names", "supported %", "refuted %"], [*lines, everything], 2)
