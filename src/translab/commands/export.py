"""`translab export`: a trained model for CTranslate2, and whether it translates as ours does."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab.commands.decoding_options import add_decoding_options, decoding_values

if TYPE_CHECKING:
    from translab.config import Decoding
    from translab.exporting.agreement import Agreement, Quality, Search

QUANTIZATIONS = ("float32", "float16", "int8")
EXAMPLES = """\
examples:
  translab export data/runs/base/1 exported --quantization float32             the folder `exported` translates without translab
  translab export data/runs/base/1 smaller --quantization int8 --check         and is it as good, and how fast?
"""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    parser = commands.add_parser(
        "export",
        help="write a trained Transformer for CTranslate2, which translates faster and without PyTorch",
        description=(
            "Writes a trained Transformer as a folder that CTranslate2 and the library `tokenizers` translate with. With "
            "--check, both models then translate the test set of the run's task, in turns; the command fails if a float32 "
            "model gives other probabilities than ours."
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="a run folder, such as data/runs/base/1")
    parser.add_argument("output", type=Path, help="the folder to write, which must not exist yet")
    parser.add_argument("--quantization", required=True, choices=QUANTIZATIONS, help="numbers of the weights")
    add_decoding_options(parser)
    parser.add_argument("--check", action="store_true", help="translate the project's test set with both models and compare")
    parser.add_argument("--json", action="store_true", help="print what --check finds as one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from translab.exporting.folder import export

    decoding = decoding_values(options)
    export(options.model, options.output, options.quantization, decoding)
    if options.check:
        return _check(options, decoding)
    if not options.json:
        print(f"{options.output} holds the model; its README.md says how to use it.")
    return 0


def _check(options: argparse.Namespace, decoding: Decoding) -> int:
    from translab import layout
    from translab.evaluation.translations import read_test_set
    from translab.exporting.agreement import SAME, agreement
    from translab.exporting.specification import ExportError
    from translab.inference import load_inference

    inference = load_inference(options.model, "cpu")
    path = layout.text(inference.run.task) / "tests" / "test.parquet"
    if not path.is_file():
        raise ExportError(
            f"{path}, the test set that --check translates, is missing; run the command from the project's folder after "
            f"`dvc repro prepare`. The model is in {options.output}."
        )
    found = agreement(inference, options.output, read_test_set(path, None), decoding)
    if options.json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=1))
    else:
        print("\n".join(told(found)))
    if options.quantization == "float32" and found.log_probabilities > SAME:
        raise ExportError(
            f"{options.output} is not the model of {options.model}: a type's log probability differs by "
            f"{found.log_probabilities:.2g} nats, rounding explains {SAME:g}; do not use it, and tell us the version of "
            f"ctranslate2."
        )
    return 0


def told(found: Agreement) -> list[str]:
    """What was found, in lines."""
    return [
        f"{found.sentences:,} sentences; log probabilities of the references' types differ by at most "
        f"{found.log_probabilities:.1e}",
        *(_told(search, found.sentences) for search in found.searches),
    ]


def _told(search: Search, sentences: int) -> str:
    name = "greedy" if search.beam == 1 else f"beam {search.beam}"
    parts = [f"{name}: {search.identical:,} of {sentences:,} translations identical"]
    if search.differences:
        gains = [each.exported_score - each.our_score for each in search.differences]
        parts.append(f"the others score {min(gains):+.4f} to {max(gains):+.4f} beside ours")
    parts.append(f"BLEU {search.exported.bleu:.2f} (ours {search.ours.bleu:.2f})")
    if search.exported.acceptance is not None and search.ours.acceptance is not None:
        parts.append(f"accepted {100 * search.exported.acceptance:.1f} % (ours {100 * search.ours.acceptance:.1f} %)")
    parts.append(_speed(search.exported, search.ours, search.ratios))
    return "; ".join(parts)


def _speed(exported: Quality, ours: Quality, ratios: list[float]) -> str:
    from statistics import median

    return (
        f"{exported.sentences_per_second:,.0f} sentences a processor second (ours {ours.sentences_per_second:,.0f}), "
        f"{median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f})"
    )
