"""`translab verify`: are the report's verdicts what the translations say, and what do several reports say together?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from translab.verification.report import Verified

EXAMPLES = """\
examples:
  translab verify report                                         make every verdict again from the stored translations
  translab verify report --merge ../laptop/reports server.json   pool this report with those of other machines
"""
CHANCE = 0.1
"""Machines whose heterogeneity has a smaller p value are pointed out (the usual level of a test with so little power)."""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    parser = commands.add_parser(
        "verify",
        help="make the report's verdicts again from stored translations, or pool those of several machines",
        description=(
            "Makes every verdict of reports/claims.json again from the stored translations, without training, and exits with 1 "
            "if a value differs. With --merge, pools the report with those of other machines instead (random effects)."
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["report"], help="what to verify: the report of the project in this folder")
    parser.add_argument("--merge", nargs="+", type=Path, metavar="OTHER", help="claims.json files, or their folders")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return _merge(options) if options.merge else _verify(options)


def _verify(options: argparse.Namespace) -> int:
    from translab.verification.report import verify

    found = verify(Path())
    if options.json:
        print(json.dumps({"equal": not found.differences, **asdict(found)}, ensure_ascii=False, indent=1))
    else:
        print(_told(found))
    return 1 if found.differences else 0


def _told(found: Verified) -> str:
    kept = f" Not made of translations, so read as stored: {', '.join(found.as_stored)}." if found.as_stored else ""
    if not found.differences:
        return f"All {found.claims} claims are as reports/claims.json has them.{kept}"
    lines = [
        f"{each.claim}: {each.value} is {json.dumps(each.reported, ensure_ascii=False)} in reports/claims.json, "
        f"{json.dumps(each.recomputed, ensure_ascii=False)} from the results"
        for each in found.differences
    ]
    wrong = len({each.claim for each in found.differences})
    return "\n".join([*lines, f"{wrong} of {found.claims} claims differ; `make repro` writes the report again.{kept}"])


def _merge(options: argparse.Namespace) -> int:
    from translab.verification.merging import merge
    from translab.verification.report import CLAIMS, read_records

    paths = [CLAIMS, *options.merge]
    found = merge({str(path): read_records(path) for path in paths})
    if options.json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=1))
    else:
        alone = f"Fewer than two reports tested {', '.join(found.alone)}."
        pooled = [line for record in found.records for line in _lines(record)]
        print("\n".join([*pooled, *([alone] if found.alone else []), _how(len(paths))]))
    return 0


def _lines(record: Mapping[str, Any]) -> list[str]:
    before = "; ".join(f"{each['report']} (seeds {_listed(each['seeds'])}): {each['verdict']}" for each in record["reports"])
    return [f"{record['name']}: {record['verdict']}. {before}.", *(f"  {_part(part)}" for part in record["parts"])]


def _part(part: Mapping[str, Any]) -> str:
    from translab.comparison.rounding import UNITS, interval, shown

    metric, spread = part["metric"], part["heterogeneity"]
    place = "" if part["test_set"] == "test" else f" on {part['test_set']}"
    each = ", ".join(shown(effect, metric, sign=True) for effect in part["effects"])
    unlike = "; the machines differ by more than their seeds" if spread["p"] < CHANCE else ""
    alike = interval(part["common"]["interval"], metric, sign=True)
    return (
        f"{shown(part['effect'], metric, sign=True)} {UNITS[metric]}{place} ({interval(part['interval'], metric, sign=True)}) "
        f"from {each}; if the machines were alike {alike}; Q {spread['q']:g} (p {shown(spread['p'], 'p')}), "
        f"I² {100 * spread['i_squared']:.0f} %, τ² {spread['tau_squared']:g}{unlike}"
    )


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def _how(reports: int) -> str:
    freedom = reports - 1
    return (
        f"Random effects with Hartung and Knapp's interval, since {reports} machines say little about how much machines "
        f"differ: {freedom} degree{'s' if freedom > 1 else ''} of freedom at most. A pooled verdict is a test beside the looks "
        f"that the claims declare."
    )
