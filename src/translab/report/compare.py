"""From files to the report: reads all results, judges all claims, and lays everything out as JSON, Markdown, HTML and figures.

Nothing here computes a number: numbers come rounded from `records` and `verdicts`, and every format shows those. Equal results
give equal bytes, so a report that changed means that a result changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translab import files
from translab.comparison import claim_evidence, pilot, probes, records, transfers, wording
from translab.comparison.claim_evidence import Material
from translab.comparison.differences import paired
from translab.comparison.evidence import primary
from translab.comparison.judging import judged
from translab.comparison.results import Grid
from translab.comparison.rounding import LABELS
from translab.comparison.testsets import TEST_SET
from translab.report import components_section, errata, evidence_page, heads_section, page, probe_tables, summary, tables
from translab.report.sheets import Table


@dataclass(frozen=True)
class Report:
    """Everything that the comparison writes."""

    json: dict[str, Any]
    """File name to value."""
    text: dict[str, str]
    """File name to content."""
    figures: dict[str, str]
    """File name to SVG."""
    terminal: str

    def write(self, folder: Path) -> None:
        """Write all files; each is whole or absent."""
        for name, value in self.json.items():
            files.write_json(folder / name, value)
        for name, content in self.text.items():
            files.write_text(folder / name, content)
        with files.whole(folder / "figures") as figures:
            figures.mkdir()
            for name, content in self.figures.items():
                files.write_text(figures / name, content)


def compare(values: Mapping[str, Any], names: Sequence[tuple[str, str]], claims: Any, data: Path) -> Report:
    """Compare every model of the grid.

    Args:
        values: what the stage declares: `data`, `variants`, `methods`, `surgeries`, `sweep`, `statistics`.
        names: (name, stage) of every model that the values expand to.
        claims: the entries of `claims.yaml`, unchecked.
        data: the folder that holds `runs/`, `evaluations/` and `audit.json`.

    Raises:
        ConfigError: if a claim is not valid.
        ResultsError: if there is no base to compare with.
    """
    gathering, verdicts = judged(values, names, claims, data)
    grid, statistics = gathering.grid, values["statistics"]
    evidence = {name: gathering.evidence(name, len(grid.seeds)) for name in dict.fromkeys([TEST_SET, *grid.test_sets])}
    metric = primary(evidence[TEST_SET], [name for name, cell in grid.cells.items() if cell.stage != "pretrain"])
    found = {
        file: records.model_records(grid, evidence[TEST_SET], stage, metric, values)
        for file, stage in (("ablations", "ablate"), ("transfer", "finetune"), ("pretraining", "pretrain"))
    }
    scratch = transfers.scratch_of(found["transfer"], found["ablations"])
    against = paired(scratch, evidence[TEST_SET], metric, statistics["confidence"])
    for record in found["transfer"]:
        if record["name"] in against:
            record["against_scratch"] = {"name": scratch[record["name"]], **against[record["name"]]}
    elsewhere = probes.probe_records(grid, evidence, statistics["confidence"])
    curves = records.curves(grid)
    confidence = statistics["confidence"]
    material = Material(gathering, statistics["resamples"], statistics["seed"])
    behind = [claim_evidence.record(claim, material, confidence) for claim in verdicts]
    heads = heads_section.records(grid, confidence)
    components = components_section.records(grid, evidence[TEST_SET], metric, confidence)
    for record in found["ablations"]:
        record["heads"] = next((entry["layers"] for entry in heads if entry["name"] == record["name"]), None)
        record["randomness"] = next((entry for entry in components if entry["name"] == record["name"]), None)
    contents = page.contents(grid, verdicts, found, elsewhere, metric, curves, values, files.read_json(data / "audit.json"))
    contents |= {
        "behind": evidence_page.contents(behind, verdicts, material),
        "heads": heads_section.contents(heads),
        "components": components_section.contents(components),
        "errata": errata.contents(),
    }
    every_model = [*found["ablations"], *found["transfer"], *found["pretraining"]]
    return Report(
        json={
            "claims.json": verdicts,
            **{f"{file}.json": entries for file, entries in found.items()},
            "probes.json": elsewhere,
            "evidence.json": behind,
            "metrics.json": records.metrics(every_model),
            "noise.json": pilot.described(gathering, values),
        },
        text={
            "summary.md": summary.markdown(verdicts, grid.problems),
            "evidence.md": evidence_page.markdown(behind, verdicts),
            "claims.md": _claims_markdown(verdicts, grid),
            "ablations.md": _models_markdown("Ablations", found["ablations"], metric, elsewhere)
            + _bodies_markdown(contents)
            + _seeds_markdown(contents),
            "transfer.md": _models_markdown("Transfer", found["transfer"], metric, elsewhere) + _transfer_markdown(contents),
            "pretraining.md": _pretraining_markdown(found["pretraining"], contents),
            "probes.md": _probes_markdown(elsewhere, metric),
            "curves.csv": _csv(curves),
            "index.html": page.html(contents),
        },
        figures=page.figure_files(contents),
        terminal=_terminal(verdicts, found, metric, elsewhere, grid),
    )


def _claims_markdown(verdicts: Sequence[Mapping[str, Any]], grid: Grid) -> str:
    parts = ["# Claims\n\n", tables.claims(verdicts).markdown(), "\n"]
    parts.extend(f"> {problem}\n\n" for problem in grid.problems)
    parts.extend(
        f"**{record['name']}** ({record['verdict']}): {record['statement']} *{record['source']}* {record['explanation']}\n\n"
        for record in verdicts
    )
    return "".join(parts).rstrip("\n") + "\n"


def _models_markdown(
    title: str, entries: Sequence[Mapping[str, Any]], metric: str, elsewhere: Sequence[Mapping[str, Any]]
) -> str:
    compared, details = tables.models(entries, metric, elsewhere), tables.details(entries, metric)
    return f"# {title}\n\n{compared.markdown()}\n{wording.COMPARED}\n\n{details.markdown()}"


def _sections(sections: Sequence[tuple[str, Table]]) -> str:
    """Tables that have rows, each under its heading."""
    return "".join(f"\n## {heading}\n\n{made.markdown()}" for heading, made in sections if made.rows)


def _transfer_markdown(contents: Mapping[str, Any]) -> str:
    shown = contents["ladder"]
    sections = [("Ladder", shown["ladder"])]
    sections += [("Initialisation", shown["initialisation"])] if shown["initialisation"] else []
    sections += [("Training pairs of B", shown["pairs"]["table"])] if shown["pairs"] else []
    return _sections([*sections, ("Rows copied by matching vocabularies", shown["copied"])])


def _bodies_markdown(contents: Mapping[str, Any]) -> str:
    shown = contents["bodies"]
    return _sections([("Bodies", shown["table"]), ("Bodies by sentence length", shown["lengths"])]) if shown else ""


def _seeds_markdown(contents: Mapping[str, Any]) -> str:
    heads, components = contents["heads"], contents["components"]
    sections = [("Diversity of heads", heads["diversity"].table()), ("Without one head", heads["removed"])] if heads else []
    return _sections([*sections, *([("Sources of the variance between seeds", components)] if components else [])])


def _pretraining_markdown(entries: Sequence[Mapping[str, Any]], contents: Mapping[str, Any]) -> str:
    shown = contents["learned"]
    sections = [
        ("Intrinsic measures", shown["intrinsic"]),
        ("Senses apart", shown["controls"]),
        ("Controls and further measures", shown["further"]),
        ("Nearest words", shown["neighbours"]),
    ]
    return f"# Pretraining\n\n{tables.pretraining(entries).markdown()}{_sections(sections)}"


def _probes_markdown(elsewhere: Sequence[Mapping[str, Any]], metric: str) -> str:
    parts = ["# Probes and splits\n\n", f"{wording.AT_CHANCE} {wording.COMPARED}\n"]
    sections = [
        (f"Splits: {LABELS[metric]}", probe_tables.splits(elsewhere).table()),
        ("Probes, forced choice: right % (chance is 50 %)", probe_tables.choices(elsewhere).table()),
        ("Probes, free generation: accepted %", probe_tables.generated(elsewhere).table()),
        *((heading, made) for _, heading, made in probe_tables.closer(elsewhere)),
    ]
    parts.extend(f"\n## {heading}\n\n{made.markdown()}" for heading, made in sections if made.rows)
    return "".join(parts)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, ["name", "step", "train_loss", "valid_loss"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _terminal(
    verdicts: Sequence[Mapping[str, Any]],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    metric: str,
    elsewhere: Sequence[Mapping[str, Any]],
    grid: Grid,
) -> str:
    parts = [f"! {problem}\n" for problem in grid.problems]
    if verdicts:
        parts += ["\n", tables.claims(verdicts).terminal()]
    compared = [*found["ablations"], *found["transfer"]]
    parts += ["\n", tables.models(compared, metric, elsewhere).terminal(), "\nReport: reports/index.html\n"]
    return "".join(parts)
