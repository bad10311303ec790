"""The evidence behind every claim as the page shows it, and as Markdown; the page's layout is `evidence.html.j2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from translab.comparison.claim_evidence import Material, View
from translab.comparison.rounding import MINUS
from translab.comparison.wording import ERRORS
from translab.report import evidence_figures as figures
from translab.report import evidence_tables as tables

Record = Mapping[str, Any]


def contents(records: Sequence[Record], claims: Sequence[Record], material: Material) -> dict[str, list[dict[str, Any]]]:
    """Claim to what its fold-out shows, one entry for each contrast.

    Args:
        records: those of `reports/evidence.json`.
        claims: those of `reports/claims.json`.
        material: all results.
    """
    views = {claim["name"]: material.view(claim) for claim in claims}
    return {record["name"]: [_shown(block, views[record["name"]]) for block in record["contrasts"]] for record in records}


def _shown(block: Record, view: View) -> dict[str, Any]:
    names = list(block["runs"])
    pretrained = any(view.grid.cells[name].stage == "pretrain" for name in names)
    first = {name: run for name in names if (run := view.grid.cells[name].first) is not None}
    kinds = [row["kind"] for row in block.get("errors", []) if row["word"] in ("more", "fewer")]
    return {
        "contrast": told(block["runs"]),
        # Losses of different objectives have no common axis.
        "curves": None if pretrained else figures.curves(names, view.curves),
        "positions": figures.positions(block["positions"]) if block["positions"] else None,
        "attention": figures.attention(first),
        "tables": tables.told(block),
        "meanings": [(kind, ERRORS[kind]) for kind in kinds],
        "twins": block.get("twins", []),
        "chosen": block["metric"] == "choice",
        "sentences": block.get("sentences"),
        "counted": counted(block["sentences"], block["runs"]) if block.get("sentences") else "",
        "test_set": block["translated"],
    }


def told(contrast: Mapping[str, float]) -> str:
    """A contrast in a line.

    >>> told({"base": 1, "heads-1": -1}), told({"a": 0.5, "b": 0.5, "c": -1})
    ('base − heads-1', '0.5 a + 0.5 b − c')
    """
    terms: list[str] = []
    for name, weight in contrast.items():
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        sign = MINUS if weight < 0 else "+"
        terms.append(f"{sign} {size}{name}" if terms or weight < 0 else f"{size}{name}")
    return " ".join(terms)


def markdown(records: Sequence[Record], claims: Sequence[Record]) -> str:
    """The tables of all claims.

    Args:
        records: those of `reports/evidence.json`.
        claims: those of `reports/claims.json`.
    """
    statements = {claim["name"]: (claim["verdict"], claim["statement"]) for claim in claims}
    parts = ["# The evidence behind each claim\n"]
    for record in records:
        if not record["contrasts"]:
            continue
        verdict, statement = statements[record["name"]]
        parts.append(f"\n## {record['name']}\n\n{statement} ({verdict})\n")
        for block in record["contrasts"]:
            parts.append(f"\n`{told(block['runs'])}`\n")
            parts.extend(f"\n{heading}\n\n{made.markdown()}" for heading, made in tables.told(block))
            parts.extend(_sentences_markdown(block))
    return "".join(parts)


def _sentences_markdown(block: Record) -> list[str]:
    found = block.get("sentences")
    if found is None or not found["rows"]:
        return []
    lines = [f"\nSentences that changed most. {counted(found, block['runs'])}\n\n"]
    for row in found["rows"]:
        outputs = "; ".join(f"{output['name']} {'✓' if output['right'] else '✗'} {output['text']}" for output in row["outputs"])
        lines.append(f"- {row['source']} (reference: {row['reference']}): {outputs}\n")
    return lines


def counted(found: Record, contrast: Mapping[str, float]) -> str:
    """How many sentences one side gets right with every seed and the other with none.

    >>> counted({"gained": 17, "lost": 0}, {"base": 1, "heads-1": -1})
    'Right with every seed of base and with none of heads-1: 17; the reverse: 0.'
    """
    left, right = (" and ".join(name for name, weight in contrast.items() if sign * weight > 0) for sign in (1, -1))
    return f"Right with every seed of {left} and with none of {right}: {found['gained']:,}; the reverse: {found['lost']:,}."
