"""`translab card`: the model card of a run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  translab card --model data/runs/base/1                       print the card
  translab card --model data/runs/base/1 --output CARD.md
  translab card --model data/runs/base/1 --json                what the card is made of
"""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    parser = commands.add_parser(
        "card",
        help="write the model card of a run: data, licence, training, scores, limits, how to make it again",
        description=(
            "Writes the model card of a run of the project in this folder, in Markdown. Every figure is read from the "
            "project's files; intervals are those of the report."
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a run folder, such as data/runs/base/1")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the card to this file instead of printing it")
    parser.add_argument("--json", action="store_true", help="print one JSON object: the figures of the card")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from translab import files
    from translab.cards.card import model_card
    from translab.cards.facts import gather, run_of

    facts = gather(Path(), *run_of(Path(), options.model))
    text = json.dumps(asdict(facts), ensure_ascii=False, indent=1) + "\n" if options.json else model_card(facts)
    if options.output is None:
        sys.stdout.write(text)
    else:
        files.write_text(options.output, text)
    return 0
