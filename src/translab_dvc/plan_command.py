"""`translab plan`: what still has to run, and what the claims can hope for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from translab_dvc.prospects import Known, Prospect

EXAMPLES = """\
examples:
  translab plan                    instances that have to run, in order, with the seconds they are expected to take
  translab plan --claims           what each claim can find with its seeds, and which runs it waits for
  translab plan --pilot            after `make repro RECIPE=pilot`: how much the base varies from seed to seed
"""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    parser = commands.add_parser(
        "plan",
        help="say what still has to run, and which claims can be decided with how many seeds",
        description="Says which instances of the pipeline have to run, or, with --claims, what each claim can hope for.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--claims", action="store_true", help="a row for each claim instead of each instance")
    what.add_argument("--pilot", action="store_true", help="write reports/pilot.json from the base's runs in force")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.pilot:
        return _pilot(options)
    return _claims(options) if options.claims else _instances(options)


def _instances(options: argparse.Namespace) -> int:
    from translab_dvc import pipeline, plan
    from translab_dvc.progress import DURATIONS, clock, instances, load_durations

    found = pipeline.read()
    needs = found.outdated
    seconds = plan.estimates(needs, load_durations(DURATIONS))
    ordered = plan.topological(needs)
    if options.json:
        rows = [{"name": name, "stage": plan.stage_of(name), "seconds": round(seconds[name], 1)} for name in ordered]
        print(json.dumps(rows, indent=1))
        return 0
    for name in ordered:
        print(f"{clock(seconds[name]):>8}  {name}")
    total = clock(sum(seconds.values()))
    print(f"{instances(len(needs))} to run, {len(found.needs) - len(needs)} up to date; about {total}, one at a time.")
    return 0


def _claims(options: argparse.Namespace) -> int:
    from translab_dvc import pipeline
    from translab_dvc.progress import DURATIONS, load_durations
    from translab_dvc.prospects import Prospects

    found = Prospects(Path(), pipeline.read(), load_durations(DURATIONS))
    if options.json:
        print(json.dumps({"noise": _source(found.noise), "claims": [_row(claim) for claim in found.claims]}, indent=1))
    else:
        print(_told(found.claims, found.noise))
    return 0


def _source(noise: Known) -> dict[str, Any]:
    return {"file": noise.source, "base_alone": noise.alone}


def _row(prospect: Prospect) -> dict[str, Any]:
    from translab.comparison.rounding import rounded

    claim = prospect.claim
    return {
        "name": claim.name,
        "verdict": prospect.verdict,
        "looks": claim.looks,
        "seeds_needed": prospect.seeds_needed,
        "reachable": prospect.reachable if prospect.known else None,
        "parts": [
            {
                "metric": part.metric,
                "test_set": part.test_set,
                "margin": part.margin,
                "minimum_detectable_effect": rounded(planned.minimum_detectable, part.metric),
                "seeds_needed": planned.seeds_needed,
            }
            for part, planned in zip(claim.parts, prospect.parts, strict=True)
        ],
        "next": [
            {
                "seeds": step.seeds,
                "runs": step.runs,
                "seconds": round(step.seconds, 1),
                "command": step.command,
                "targets": step.targets,
            }
            for step in prospect.steps
        ],
        "remark": prospect.remark,
    }


def _told(prospects: list[Prospect], noise: Known) -> str:
    from translab.report.sheets import table
    from translab_dvc.prospects import UNKNOWN

    rows = table(
        {
            "claim": [each.claim.name for each in prospects],
            "verdict": [each.verdict or "–" for each in prospects],
            "margin": [_by_part(each, "margin") for each in prospects],
            "detectable": [_by_part(each, "detectable") for each in prospects],
            "seeds": [_seeds(each) for each in prospects],
            "minutes left": [f"{each.seconds / 60:.1f}" for each in prospects],
            "next runs": [_next(each) for each in prospects],
        },
        ["minutes left"],
    )
    lines = [rows.terminal()]
    if noise.source is None:
        lines.append(f"Noise: {UNKNOWN}.")
    elif noise.alone:
        lines.append(
            f"Noise: {noise.source}, of the base alone, which knows nothing of what models do with single sentences: effects "
            f"must be somewhat larger than the detectable ones here."
        )
    else:
        lines.append(f"Noise: {noise.source}.")
    waiting = [each for each in prospects if each.steps and (each.reachable or not each.known)]
    if waiting:
        first = min(waiting, key=lambda each: each.seconds)
        lines.append(
            f"Cheapest: {first.claim.name}, {first.seconds / 60:.1f} minutes, with {first.steps[0].command} "
            f"(minutes are of instances one at a time; claims share runs)."
        )
    return "\n".join(lines)


def _by_part(prospect: Prospect, what: str) -> str:
    from translab.comparison.rounding import UNITS, shown

    told = []
    for part, planned in zip(prospect.claim.parts, prospect.parts, strict=True):
        if what == "margin":
            told.append(f"{part.margin:g} {UNITS[part.metric]}")
        else:
            told.append("unknown" if planned.minimum_detectable is None else shown(planned.minimum_detectable, part.metric))
    return "; ".join(told)


def _seeds(prospect: Prospect) -> str:
    if not prospect.known:
        return "unknown"
    if prospect.reachable:
        return str(prospect.claim.looks[-1])
    needed = prospect.seeds_needed
    return "more seeds alone are not enough" if needed is None else f"needs {needed} seeds"


def _next(prospect: Prospect) -> str:
    if prospect.remark:
        return prospect.remark
    if not prospect.steps:
        return "–" if prospect.verdict != "inconclusive" else "its looks are over"
    step = prospect.steps[0]
    if not step.runs:
        return f"none to train: {step.command}"
    by_seeds: dict[str, list[str]] = {}
    for name, seeds in step.runs.items():
        by_seeds.setdefault(", ".join(map(str, seeds)), []).append(name)
    return "; ".join(f"{', '.join(names)} (seeds {seeds})" for seeds, names in by_seeds.items()) + f": {step.command}"


def _pilot(options: argparse.Namespace) -> int:
    from translab.comparison.measuring import measure_base
    from translab.comparison.pilot import PILOT
    from translab.files import write_json
    from translab.params import declared

    found = measure_base(declared("compare"), Path("data"))
    write_json(PILOT, found)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print(
            f"{PILOT}: the noise of {len(found['noise'])} measures of the base, from {found['seeds']} seeds. One model alone "
            f"knows nothing of what models do with single sentences; `translab plan --claims` says what claims can find."
        )
    return 0
