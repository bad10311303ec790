"""What the store should say about the claims and the report: a pure function of reports/.

A claim, with its records in claims.json and evidence.json, is a run of its own in the experiment `<corpus>: claims`. Its
metrics are the record's numbers, to the last digit: `effect`, `interval/low`, `interval/high`, `p_adjusted`, `seeds` (how many)
…, and those of each of several parts as `part-2/effect`. Its tags are what claims are filtered by: `verdict`, `family`,
`metric`, `test_set`, `kind`. Its description says the verdict in a sentence and leads to the report and to its runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from translab.tracking import views
from translab.tracking.projection import Point, Projection, required
from translab.tracking.store import TrackingError
from translab.tracking.views import Place

CLAIMS, EVIDENCE = Path("reports/claims.json"), Path("reports/evidence.json")
CODE = ("claims.py",)
"""Files of this package that decide what the store says about claims, beside the links."""

NUMBERS = [
    "effect",
    "margin",
    "standard_error",
    "sentence_error",
    "freedom",
    "p",
    "p_adjusted",
    "minimum_detectable_effect",
    "seeds_needed",
    "sentences",
    "confidence",
]
TAGS = ["verdict", "family", "kind", "metric", "test_set", "direction"]
PARAMETERS = ["source", "held", "divergence"]

Record = Mapping[str, Any]


def read_claims(root: Path) -> list[tuple[Record, Record]]:
    """Every claim's record and its evidence.

    Raises:
        TrackingError: a file of the report is missing, or has no evidence for a claim.
    """
    records, evidence = required(root / CLAIMS), {entry["name"]: entry for entry in required(root / EVIDENCE)}
    for record in records:
        if record["name"] not in evidence:
            raise TrackingError(
                f"{root / EVIDENCE} says nothing of the claim {record['name']}, which {CLAIMS.name} has; `make report` writes "
                "both anew."
            )
    return [(record, evidence[record["name"]]) for record in records]


def content_hash(record: Record, evidence: Record) -> str:
    """Hash of everything that is known about a claim."""
    return hashlib.sha256(_text([record, evidence]).encode()).hexdigest()


def project_claim(root: Path, experiment: str, record: Record, evidence: Record, text: str) -> Projection:
    """A claim as the store should show it; `text` is its description."""
    written = round((root / CLAIMS).stat().st_mtime * 1000)
    numbers, params = _numbers(record), {"contrast": contrast(record["runs"])}
    if len(record["parts"]) > 1:
        for number, part in enumerate(record["parts"], start=1):
            numbers |= {f"part-{number}/{key}": value for key, value in _numbers(part).items()}
            params[f"part-{number}"] = f"{contrast(part['runs'])}: {part['metric']} on {part['test_set']}"
    params |= {"looks": ", ".join(map(str, record["looks"])), "seeds": ", ".join(map(str, record["seeds"]))}
    params |= {f"chosen/{name}": run for name, run in record["chosen"].items()}
    params |= {key: record[key] for key in PARAMETERS}
    tags = {key: record[key] for key in TAGS if record[key] is not None}
    return Projection(
        run_name=record["name"],
        experiment=experiment,
        params=params,
        tags=tags
        | {
            "claim": record["name"],
            "corpus": experiment.rpartition(": ")[0],
            "exploratory": json.dumps(record["exploratory"]),
            views.NOTE: text,
        },
        points=[Point(key, float(value), 0) for key, value in (numbers | {"seeds": len(record["seeds"])}).items()],
        dataset=None,
        attachments={"claim.json": _text(record), "evidence.json": _text(evidence)},
        start=written,
        end=written,
    )


def project_report(page: Path, experiment: str) -> Projection:
    """The HTML report as the store should show it: a run that holds the page."""
    written = round(page.stat().st_mtime * 1000)
    note = "The report: open `index.html` under Artifacts."
    return Projection("report", experiment, {}, {views.NOTE: note}, [], None, {page.name: page}, written, written)


def description(record: Record, report: Place, runs: Mapping[str, Mapping[int, Place]]) -> str:
    """The description of a claim, with links to the report and to its runs.

    Args:
        record: of claims.json.
        report: where the run is that holds the report.
        runs: where the runs are that were published, by name and seed.
    """
    found = {
        name: {seed: place for seed, place in runs.get(name, {}).items() if seed in record["seeds"]} for name in runs_of(record)
    }
    places = [place for seeds in found.values() for place in seeds.values()]
    evidence = (
        f"Evidence: the claim `{record['name']}` in {views.link('the report', views.artifact(report, 'index.html'))}; "
        "`claim.json` and `evidence.json` under Artifacts."
    )
    said = (f"**{record['name']}** is **{record['verdict']}**: {record['statement']}", record["explanation"])
    about = (
        f"Source: {record['source'].rstrip('.')}. Equal in all runs: {record['held'].rstrip('.')}. "
        f"Family for multiple testing: {record['family']}."
    )
    compared = f" {views.link('All side by side', views.compare(places))}." if places else ""
    every = [f"{name}: {_seeds(seeds, linked=True)}" for name, seeds in found.items()]
    tables = [_table(name, seeds) for name, seeds in found.items()]
    return views.first_short(
        *(
            "\n\n".join([*said, f"Runs by seed: {'; '.join(listed)}.{beside}", evidence, about])
            for listed, beside in ((every, compared), (tables, compared), (tables, ""))
        )
    )


def runs_of(record: Record) -> list[str]:
    """The names of the runs that a claim compares, each once."""
    return list(dict.fromkeys(name for part in record["parts"] for name in part["runs"]))


def contrast(runs: Mapping[str, float]) -> str:
    """`base − heads-1`, or with weights: `0.5 base + 0.5 heads-8 − heads-1`."""
    terms = []
    for name, weight in runs.items():
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        terms.append(f"{'−' if weight < 0 else '+'} {size}{name}")
    return " ".join(terms).removeprefix("+ ")


def _numbers(record: Record) -> dict[str, float]:
    """The numbers of a claim or of a part; what was not measured is left out."""
    low, high = record["interval"] or (None, None)
    found = {key: record.get(key) for key in NUMBERS} | {"interval/low": low, "interval/high": high}
    return {key: value for key, value in found.items() if value is not None}


def _seeds(seeds: Mapping[int, Place], *, linked: bool) -> str:
    if not seeds:
        return "none in the store"
    return ", ".join(views.link(str(seed), views.page(place)) if linked else str(seed) for seed, place in seeds.items())


def _table(name: str, seeds: Mapping[int, Place]) -> str:
    """A link to all seeds of a name, where the links to each would be too many."""
    if not seeds:
        return f"{name}: {_seeds(seeds, linked=False)}"
    address = views.table(next(iter(seeds.values())).experiment, f'tags.variant = "{name}"')
    return f"{views.link(name, address)}: {_seeds(seeds, linked=False)}"


def _text(value: Sequence[Record] | Record) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
