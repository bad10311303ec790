"""`translab phrasebook`: a look at the embedded corpus."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

FORMATS = {int: ",", float: ".2f"}
"""How statistics are printed."""
EXAMPLES = """\
examples:
  translab phrasebook --task everyday --show 20 --seed 7        twenty pairs with their tags
  translab phrasebook --task travel --probe word-order --show 4 --seed 7
  translab phrasebook --statistics --json                       how large it is
  translab phrasebook --task travel --accepts "Tom left." "汤姆走了。"
"""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    phrasebook = commands.add_parser(
        "phrasebook",
        help="show pairs of the embedded English–Chinese corpus, count what it holds, or judge a translation",
        description="Shows pairs of the embedded English–Chinese corpus, counts what it holds, or judges a translation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = phrasebook.add_mutually_exclusive_group(required=True)
    what.add_argument("--show", type=int, metavar="N", help="print N pairs, or items of a probe; needs --task and --seed")
    what.add_argument("--statistics", action="store_true", help="print the counts of all tasks")
    what.add_argument("--accepts", nargs=2, metavar=("ENGLISH", "CHINESE"), help="judge a translation; needs --task")
    phrasebook.add_argument("--task", help="everyday or travel")
    phrasebook.add_argument("--probe", help="show items of this probe instead of pairs")
    phrasebook.add_argument("--seed", type=int, help="the same seed prints the same pairs")
    phrasebook.add_argument("--json", action="store_true", help="print JSON: one line for each pair, or one object")
    phrasebook.set_defaults(run=partial(_run, phrasebook))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if not options.statistics and options.task is None:
        parser.error("--task is missing; name a task, such as everyday.")
    if options.show is not None and options.seed is None:
        parser.error("--seed is missing; give --show a whole number to draw by.")
    from translab.corpora.phrasebook import PhrasebookError  # reading the grammar is work that --help does not need

    try:
        if options.statistics:
            _print_statistics(options)
        elif options.accepts:
            _print_judgement(options)
        else:
            for number, entry in enumerate(_entries(options), start=1):
                print(json.dumps(entry, ensure_ascii=False, sort_keys=True) if options.json else _readable(number, entry))
    except PhrasebookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _entries(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from translab.corpora.phrasebook import generate, load
    from translab.corpora.phrasebook.probes import Taken
    from translab.corpora.phrasebook.splits import probe_entries

    if options.probe is None:
        for pair in generate(options.task, options.show, options.seed):
            yield {"source": pair.source, "target": pair.target, "tag": json.loads(pair.tag)}
        return
    for entry in probe_entries(load(options.task), options.probe, options.show, options.seed, Taken()):
        yield {
            "source": entry.source,
            "target": entry.target,
            "wrong": entry.wrong,
            "group": entry.group,
            "tag": json.loads(entry.tag),
            "translations": entry.translations,
        }


def _readable(number: int, entry: dict[str, Any]) -> str:
    """A pair and its tag in a few lines."""
    tag = entry["tag"]
    dependents = [f"{first} ~ {second}" + ("" if far is None else f" ({far})") for first, second, far in tag["dependents"]]
    lines = [
        f"{number}. {entry['source']}",
        entry["target"],
        *([f"not: {entry['wrong']}"] if entry.get("wrong") is not None else []),
        f"{tag['length']} words, depth {tag['depth']}; {', '.join(tag['constructions'])}",
        f"senses: {', '.join(tag['senses'])}",
        *([f"dependents: {', '.join(dependents)}"] if dependents else []),
        *([f"places: {', '.join(f'{name} {place}' for name, place in tag['words'].items())}"] if "words" in tag else []),
    ]
    return "\n   ".join(lines) + "\n"


def _print_statistics(options: argparse.Namespace) -> None:
    from translab.corpora.phrasebook import statistics

    figures = statistics()
    print(json.dumps(figures, ensure_ascii=False, indent=2) if options.json else "\n".join(_lines(figures, "")))


def _lines(figures: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {format(value, FORMATS.get(type(value), ''))}"


def _print_judgement(options: argparse.Namespace) -> None:
    from translab.corpora.phrasebook import load
    from translab.corpora.phrasebook.diagnosis import diagnose

    phrasebook = load(options.task)
    source, output = options.accepts
    translations = sorted(phrasebook.translations(source))
    verdict = diagnose(phrasebook, source, output) if translations else "the grammar does not make this English sentence"
    if options.json:
        print(json.dumps({"verdict": verdict, "translations": translations}, ensure_ascii=False, sort_keys=True))
    else:
        print("\n".join([verdict, *(f"  accepted: {translation}" for translation in translations if verdict != "accepted")]))
