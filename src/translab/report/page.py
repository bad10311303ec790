"""The report as one page: what stands where. The layout itself is `templates/report.html.j2`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from translab.comparison import records, transfers
from translab.comparison.probes import CHANCE
from translab.comparison.results import BASE, Grid, Run
from translab.comparison.rounding import BETTER, LABELS, UNITS, interval, shown
from translab.comparison.testsets import TEST_SET
from translab.comparison.verdicts import VERDICTS
from translab.comparison.wording import AT_CHANCE, COMPARED
from translab.config import flatten
from translab.report import (
    body_section,
    evidence_figures,
    evidence_tables,
    figures,
    ladder_section,
    pretraining_section,
    probe_figures,
    probe_section,
    tables,
)
from translab.report.svg import TEMPLATES, as_file

EXAMPLES = 6
"""Sentences shown of each kind."""

MAPS = 3
"""Sentences whose cross-attention is shown."""


def contents(
    grid: Grid,
    verdicts: Sequence[Mapping[str, Any]],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    elsewhere: Sequence[Mapping[str, Any]],
    metric: str,
    curves: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
    audit: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that the page shows, as text, tables and drawings.

    Args:
        grid: all results.
        verdicts: records of the claims.
        found: `ablations`, `transfer`, `pretraining` to their records.
        elsewhere: records of splits and probes.
        metric: the primary one.
        curves: mean losses by name and step.
        values: what the stage declares.
        audit: `data/audit.json`.
    """
    base = next(record for record in found["ablations"] if record["name"] == BASE)
    run = grid.cells[BASE].first
    compared = [*found["ablations"], *found["transfer"]]
    lengths = records.lengths(grid, metric)
    return {
        "claims": [dict(record) | _claim_figures(record) for record in verdicts],
        "claim_table": tables.claims(verdicts),
        "counts": [(verdict, count) for verdict in VERDICTS if (count := Counter(r["verdict"] for r in verdicts)[verdict])],
        "marks": tables.MARKS,
        "problems": grid.problems,
        "metric": metric,
        "signs": {"at_chance": AT_CHANCE, "compared": COMPARED},
        "probes": probe_section.contents(grid, elsewhere),
        "head": _head(grid, base, run, values, audit),
        "values": sorted(flatten(run.config["values"]).items()) if run else [],
        "signature": _signature(run),
        "tokenisers": [(record["name"], record["bleu_by_tokeniser"]) for record in compared if record.get("bleu_by_tokeniser")],
        "forests": _forests(found["ablations"], metric),
        "tables": {
            **{
                name: (tables.models(found[name], metric, elsewhere), tables.details(found[name], metric))
                for name in ("ablations", "transfer")
            },
            "pretraining": (tables.pretraining(found["pretraining"]),),
        },
        "ladder": ladder_section.contents(found["transfer"], found["ablations"], metric, audit["b"]["sizes"]),
        "bodies": body_section.contents(found["ablations"], elsewhere, lengths, metric),
        "learned": pretraining_section.contents(grid, found["pretraining"]),
        "curves": _curves(grid, curves),
        "lengths": lengths,
        "examples": records.examples(grid, EXAMPLES),
        "first_seed": grid.seeds[0],
        "attention": _attention(run),
        "audit": audit,
        "commands": _commands(grid, values["sweep"]),
        "statistics": values["statistics"],
        "machine": run.config["values"]["machine"] if run else {},
    }


def html(page: Mapping[str, Any]) -> str:
    """The page as one self-contained file."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    styles = {
        name: (TEMPLATES / f"{name}.css").read_text(encoding="utf-8") for name in ("colours", "figure", "page", "evidence")
    }
    environment.globals |= {
        "shown": shown,
        "interval": interval,
        "units": UNITS,
        "labels": LABELS,
        "better": BETTER,
        "known": evidence_tables.KNOWN,
        **probe_section.HELPERS,
    }
    environment.filters |= {"drawing": Markup, "code": _code}
    return environment.get_template("report.html.j2").render(**page, styles=Markup("".join(styles.values())))  # noqa: S704  our own style sheets


def _code(text: str) -> Markup:
    """Escape a sentence, and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped here


def _claim_figures(record: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        dict(part) | {"by_seed": probe_figures.by_seed(part, CHANCE if part["metric"] == "choice" else None)}
        for part in record["parts"]
    ]
    return {"figure": figures.claim_interval(record), "parts": parts}


def figure_files(page: Mapping[str, Any]) -> dict[str, str]:
    """Every drawing of the page as a file, but for those behind single claims, which show again what others show."""
    drawn = {f"claim-{record['name']}": record["figure"] for record in page["claims"] if record["figure"]}
    drawn |= {f"ablation-{card['file']}": card["figure"] for card in page["forests"]}
    drawn |= {f"ladder-{card['name']}": card["figure"] for card in page["ladder"]["panels"]}
    drawn |= {"pairs": page["ladder"]["pairs"]["figure"]} if page["ladder"]["pairs"] else {}
    drawn |= {"senses": page["learned"]["separation"]} if page["learned"]["separation"] else {}
    drawn |= {f"senses-{card['name']}": card["figure"] for card in page["learned"]["scatters"]}
    drawn |= {
        f"bodies-{name}": page["bodies"][name] for name in ("distance", "memory") if page["bodies"] and page["bodies"][name]
    }
    drawn |= {f"distance-{card['name']}": card["figure"] for card in page["probes"]["distances"]}
    drawn |= {f"curves-{card['name']}": card["figure"] for card in page["curves"]}
    drawn |= {f"heads-{card['name']}": card["figure"] for card in (page["heads"] or {}).get("figures", [])}
    drawn |= {f"attention-{card['index']}": card["figure"] for card in page["attention"]}
    return {f"{name}.svg": as_file(figure) for name, figure in drawn.items()}


def _head(
    grid: Grid, base: Mapping[str, Any], run: Run | None, values: Mapping[str, Any], audit: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "tasks": {
            task: {
                "corpus": values["data"][task],
                "languages": " → ".join(audit[task][f"{side}_language"] for side in ("source", "target")),
                "sizes": audit[task]["sizes"],
            }
            for task in ("b", "a")
        },
        "seeds": grid.seeds,
        "base": base,
        "models": len(grid.cells),
        "runs": sum(len(cell.runs) for cell in grid.cells.values()),
        "model": run.config["values"]["model"] if run else {},
    }


def _signature(run: Run | None) -> str:
    if run is None or TEST_SET not in run.tests:
        return "none: the base was not scored"
    bleu = run.tests[TEST_SET].figures["bleu"]
    return str(next(iter(bleu.values()))["signature"])


def _forests(ablations: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """One forest plot for each axis; they share a scale. Models on fewer pairs than the base are not compared with it."""
    base = next(record.get("training_pairs") for record in ablations if record["name"] == BASE)
    axes: dict[str, list[dict[str, Any]]] = {}
    for record in ablations:
        if record["name"] != BASE and base in (None, record.get("training_pairs", base)):
            axes.setdefault(record["axis"] or "not trained", []).append(dict(record))
    domain = figures.forest_domain([record for group in axes.values() for record in group])
    return [
        {"axis": axis, "file": re.sub(r"[.+ ]", "-", axis), "figure": figures.forest(axis, group, metric, domain)}
        for axis, group in axes.items()
    ]


def _curves(grid: Grid, curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Learning curves of every model; those of one task share their axes, so that they can be compared."""
    cells = [
        cell for cell in grid.cells.values() if not cell.problems and any(len(run.history) > 1 for run in cell.runs.values())
    ]
    figured = []
    for task in (("ablate", "finetune"), ("pretrain",)):
        alike = sorted((cell for cell in cells if cell.stage in task), key=lambda cell: task.index(cell.stage))
        rows = [row for cell in alike for run in cell.runs.values() for row in run.history]
        losses = [row[key] for row in rows for key in ("train_loss", "valid_loss") if row.get(key, 0) > 0]
        if not losses or max(row["step"] for row in rows) == 0:
            continue
        box = {"steps": max(row["step"] for row in rows), "low": 0.9 * min(losses), "high": 1.1 * max(losses)}
        for cell in alike:
            histories = [run.history for run in cell.runs.values()]
            mean = [row for row in curves if row["name"] == cell.name]
            figured.append({"name": cell.name, "stage": cell.stage, "figure": figures.curves(cell.name, histories, mean, box)})
    return figured


def _attention(run: Run | None) -> list[dict[str, Any]]:
    """Maps of the base: the last layer averaged over heads, and every head of every layer."""
    if run is None:
        return []
    cards = []
    for sentence in run.attention[:MAPS]:
        layers = sentence["weights"]
        last = evidence_figures.mean_of_heads(layers[-1])
        heads = [
            figures.attention(sentence, weights, 7, False, f"layer {layer}, head {head}")
            for layer, in_layer in enumerate(layers, start=1)
            for head, weights in enumerate(in_layer, start=1)
        ]
        name = f"last layer, mean of {len(layers[-1])} heads"
        cards.append({"index": sentence["index"], "figure": figures.attention(sentence, last, 22, True, name), "heads": heads})
    return cards


def _commands(grid: Grid, sweep: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Model, and the commands that train it (first seed) and score it (all seeds)."""
    commands = []
    for name, cell in grid.cells.items():
        train, score = cell.stage, cell.stage
        found = transfers.parts(name) if cell.stage == "finetune" else None
        if found is not None:
            score = str(transfers.group(found, sweep))
            train = f"finetune-{score}"
        commands.append((name, f"dvc repro {train}@{name}-{grid.seeds[0]}", f"dvc repro evaluate-{score}@{name}"))
    return commands
