"""`translab translate`: a trained model translates a sentence, a file, or standard input."""

from __future__ import annotations

import argparse
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab.commands.decoding_options import add_decoding_options, decoding_values

if TYPE_CHECKING:
    from translab.inference import Candidate, Inference, Translated

EXAMPLES = """\
examples:
  translab translate --model data/runs/base/1 "The dog saw the man."
  translab translate --model data/runs/base/1 --best 3 --explain "The dog saw the man."
  translab translate --model data/runs/base/1 --input english.txt --output chinese.txt
  cat english.txt | translab translate --model models:/translab-phrasebook-travel@best --json

Text is UTF-8, a sentence a line. The output has a line for each line of the input; with --best it has one for each translation:
number of the line, score, translation, with tabs between them. What a model could not read is said on standard error.
"""
NOTES = 50
"""Notes that are shown on standard error; JSON has all of them."""
DIGITS = 4
"""Decimal places of scores and weights."""


class TranslateError(ValueError):
    """What should be translated cannot be read, or its translation not be written."""


def add(commands: Any) -> None:
    """Add the command to `translab`'s."""
    parser = commands.add_parser(
        "translate",
        help="translate a sentence, a file or standard input with a trained model",
        description="Translates a sentence, a file, or standard input with a trained model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sentence", nargs="?", help="a sentence in quotes; without one and without --input: standard input")
    parser.add_argument("--model", required=True, help="a run folder, or a model in MLflow: models:/NAME@ALIAS, runs:/ID/NAME")
    parser.add_argument("--input", type=Path, metavar="FILE", help="read sentences from this file, one a line")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file, which then is whole or absent")
    parser.add_argument("--best", type=int, metavar="N", help="print the N best translations with their scores")
    parser.add_argument("--explain", action="store_true", help="show which source types each target type looks at")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each sentence, with all attention weights")
    parser.add_argument("--device", default="cpu", help="cpu (which is meant if none is given), cuda, or cuda:NUMBER")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads; if not given, as many as the model's training had"
    )
    add_decoding_options(parser)
    parser.set_defaults(run=partial(_run, parser))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.sentence is not None and options.input is not None:
        parser.error("a sentence and --input are both given; give one of them.")
    for name in ("best", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; give a whole number from 1 on.")
    decoding = decoding_values(options)
    if options.output is not None:
        _check_output(options.output)
    sentences = _sentences(options)
    inference = _loaded(options)
    if options.explain and not inference.has_attention:
        raise TranslateError(
            f"{options.model} has the body `{inference.run.values.model.body}`, which has no attention to show; "
            f"leave --explain out, or give a model of another body."
        )
    from tqdm import tqdm

    # A bar shows on a terminal alone.
    silent = True if options.sentence is not None else None
    with tqdm(total=len(sentences), unit="sentence", disable=silent, dynamic_ncols=True) as bar:
        results = inference.translate(
            sentences, **decoding.model_dump(), best=1 if options.best is None else options.best, progress=bar.update
        )
    shown = [_shown(inference, number, result, options) for number, result in enumerate(results, start=1)]
    text = "".join(f"{each}\n" for each in shown)
    if options.output is None:
        sys.stdout.write(text)
    else:
        from translab.files import write_text

        try:
            write_text(options.output, text)
        except OSError as error:
            raise TranslateError(f"{options.output} cannot be written: {error.strerror}; give another --output.") from None
    _say([note if options.sentence is not None else f"line {n}: {note}" for n, r in enumerate(results, 1) for note in r.notes])
    return 0


def _check_output(path: Path) -> None:
    """Refuse before anything is translated what could not take the place of the output afterwards."""
    if path.exists() and not path.is_file():
        raise TranslateError(f"--output {path} is no file, and would be replaced; give the name of a file.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise TranslateError(f"--output {path}: the folder {path.parent} does not exist or is read-only; give another.")


def _sentences(options: argparse.Namespace) -> list[str]:
    if options.sentence is not None:
        return [options.sentence]
    if options.input is None:
        if sys.stdin.isatty():
            _say(["Reading sentences, one a line, until the input ends (Ctrl-D)."])
        return _lines(sys.stdin.buffer.read(), "standard input")
    try:
        data = options.input.read_bytes()
    except OSError as error:
        raise TranslateError(f"--input {options.input} cannot be read: {error.strerror}; give a text file in UTF-8.") from None
    return _lines(data, str(options.input))


def _lines(data: bytes, name: str) -> list[str]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    texts = []
    for number, line in enumerate(lines, start=1):
        try:
            texts.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise TranslateError(
                f"{name}: line {number} is not UTF-8 (byte 0x{line[error.start]:02x} at place {error.start + 1}); convert the "
                f"text, for instance with `iconv -f GB18030 -t UTF-8`."
            ) from None
    return texts


def _loaded(options: argparse.Namespace) -> Inference:
    import torch

    from translab.inference import load_inference

    if ":/" in options.model:
        from translab.tracking.models import model_folder

        folder = model_folder(options.model)
    else:
        folder = Path(options.model)
    inference = load_inference(folder, options.device)
    torch.set_num_threads(options.threads or inference.run.values.machine.threads)
    return inference


def _shown(inference: Inference, number: int, result: Translated, options: argparse.Namespace) -> str:
    """What is printed of a sentence, the `number`th."""
    if options.json:
        record = {
            "line": number,
            "source": result.source,
            "candidates": [_record(inference, result.source, each, options) for each in result.candidates],
            "notes": result.notes,
        }
        return json.dumps(record, ensure_ascii=False)
    if options.explain:
        tables = [_explained(inference, result.source, each) for each in result.candidates]
        return "\n".join([result.source, *tables])
    if options.best is not None:
        return "\n".join(f"{number}\t{each.score:.{DIGITS}f}\t{each.text}" for each in result.candidates)
    return result.candidates[0].text


def _record(inference: Inference, source: str, candidate: Candidate, options: argparse.Namespace) -> dict[str, Any]:
    record: dict[str, Any] = {"text": candidate.text, "score": candidate.score, "tokens": candidate.tokens}
    if options.explain:
        source_tokens, target_tokens, weights = inference.attention(source, candidate)
        rounded = [[[[round(share, DIGITS) for share in row] for row in head] for head in layer] for layer in weights]
        record["attention"] = {"source_tokens": source_tokens, "target_tokens": target_tokens, "weights": rounded}
    return record


def _explained(inference: Inference, source: str, candidate: Candidate) -> str:
    """A translation with its score, and where its types look."""
    source_tokens, target_tokens, weights = inference.attention(source, candidate)
    lines = [f"{candidate.score:.{DIGITS}f}  {candidate.text}"]
    if weights:
        heads = weights[-1]
        shares = [[sum(column) / len(heads) for column in zip(*rows, strict=True)] for rows in zip(*heads, strict=True)]
        kind = f"mean of {len(heads)} heads" if len(heads) > 1 else "one head"
        lines += [f"  attention of decoder layer {len(weights)}, {kind}, %", *_table(source_tokens, target_tokens, shares)]
    return "\n".join([*lines, ""])


def _table(source_tokens: Sequence[str], target_tokens: Sequence[str], shares: Sequence[Sequence[float]]) -> list[str]:
    """A row for each target type, with its shares [T][S] of the source types and the type that has the largest."""
    rows = [["", *source_tokens, "strongest"]]
    for target, row in zip(target_tokens, shares, strict=True):
        strongest = source_tokens[max(range(len(row)), key=row.__getitem__)]
        rows.append([target, *(f"{100 * share:.0f}" for share in row), strongest])
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *cells, last in rows:
        padded = [" " * (width - _width(cell)) + cell for cell, width in zip(cells, widths[1:-1], strict=True)]
        lines.append(f"  {first}{' ' * (widths[0] - _width(first))}  {'  '.join(padded)}  {last}")
    return lines


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: a Chinese character takes two, a combining mark none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _say(notes: Sequence[str]) -> None:
    for note in notes[:NOTES]:
        print(f"translab: {note}", file=sys.stderr)
    if len(notes) > NOTES:
        print(f"translab: and {len(notes) - NOTES} more such notes, all of them with --json.", file=sys.stderr)
