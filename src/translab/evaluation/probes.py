"""Probes: does a model know one phenomenon? Two measures an item, one that it is asked for and one that it volunteers.

    choice       forced choice between the target and a wrong translation; where the translations are the same and only the
                 attention could tell (`wrong` is null), between the antecedent and its rival
    acceptance   the greedy translation is one of the source's translations

Items come in twins, whose right answers are each other's wrong ones, so a model that ignores what decides is at one half.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa

from translab.config import Run
from translab.decoding import translate
from translab.evaluation.acceptance import accepted
from translab.evaluation.choices import attention_margins, margins, tokens_of_word
from translab.evaluation.errors import EvaluationError
from translab.files import read_table
from translab.pretraining.translation import Translation
from translab.text.bpe import decode

LENGTH_PROBE = "end"
"""The probe whose twins are a short and a long source that begin alike."""

Item = dict[str, Any]


def evaluate_probe(objective: Translation, path: Path, run: Run, batch_tokens: int) -> tuple[pa.Table, dict[str, Any]]:
    """Measure one probe.

    Args:
        objective: the trained model.
        path: the probe's items; its name is the file's.
        run: the model's configuration.
        batch_tokens: source tokens in a decoding batch.

    Returns:
        a row for each item, and the probe's scores.

    Raises:
        EvaluationError: if a sentence is too long for the model.
    """
    items = read_table(path).to_pylist()
    sources = [item["source"] for item in items]
    encoded = objective.examples(sources, [item["target"] for item in items])
    _check_lengths(path, [*encoded.source, *encoded.target], run.values.model.maximum_length)
    found = _margins(objective, path, items, encoded.source, encoded.target, run)
    hypotheses = translate(objective.network, encoded.source, beam=1, length_penalty=0.0, batch_tokens=batch_tokens)
    outputs = decode(objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])
    chosen = [0.5 if margin == 0 else float(margin > 0) for margin in found]
    right = accepted(outputs, [item["translations"] for item in items])
    scores = {"items": len(items), "choice": fmean(chosen), "acceptance": right.count(True) / len(right)}
    if path.stem == LENGTH_PROBE:
        scores |= _length_errors(items, outputs)
    table = pa.table(
        {
            "probe": pa.array([path.stem] * len(items)),
            "index": pa.array(range(len(items)), pa.int64()),
            "group": pa.array([item["group"] for item in items], pa.string()),
            "source": pa.array(sources),
            "target": pa.array([item["target"] for item in items]),
            "wrong": pa.array([item["wrong"] for item in items], pa.string()),
            "hypothesis": pa.array(outputs),
            "margin": pa.array(found, pa.float64()),
            "chosen": pa.array(chosen, pa.float64()),
            "accepted": pa.array(right, pa.bool_()),
            "overshoot": pa.array(
                [len(output) - len(item["target"]) for item, output in zip(items, outputs, strict=True)], pa.int64()
            ),
            "tag": pa.array([item["tag"] for item in items], pa.string()),
        }
    )
    return table, scores


def _check_lengths(path: Path, sequences: Sequence[list[int]], maximum: int) -> None:
    longest = max(map(len, sequences))
    if longest > maximum:
        raise EvaluationError(
            f"{path} holds a sentence of {longest} types, but the model reads {maximum}; raise model.maximum_length, since a "
            "probe is measured whole."
        )


def _margins(
    objective: Translation, path: Path, items: Sequence[Item], sources: list[list[int]], targets: list[list[int]], run: Run
) -> list[float]:
    """How far each item is on the right side."""
    tokens = run.values.batch.tokens
    if all(item["wrong"] is None for item in items):
        encodings = objective.vocabularies.source.encode_batch([item["source"] for item in items], add_special_tokens=False)
        marked = [json.loads(item["tag"])["words"] for item in items]
        looking, right, rival = (
            [
                tokens_of_word(item["source"], encoding, words[mark])
                for item, encoding, words in zip(items, encodings, marked, strict=True)
            ]
            for mark in ("pronoun", "antecedent", "rival")
        )
        return attention_margins(objective.network, sources, looking, right, rival, tokens)
    wrongs = objective.examples([item["source"] for item in items], [item["wrong"] for item in items]).target
    _check_lengths(path, wrongs, run.values.model.maximum_length)
    return margins(objective.network, sources, targets, wrongs, tokens)


def _length_errors(items: Sequence[Item], outputs: Sequence[str]) -> dict[str, float]:
    """How often a long source's output is nearer in length (characters) to the short twin's target, and the other way round."""
    twins: dict[str, list[int]] = {}
    for row, item in enumerate(items):
        twins.setdefault(item["group"], []).append(row)
    truncated, overrun = [], []
    for rows in twins.values():
        short, long = sorted(rows, key=lambda row: len(items[row]["source"].split()))

        def nearer(row: int, one: int, other: int) -> bool:
            length = len(outputs[row])
            return abs(length - len(items[one]["target"])) < abs(length - len(items[other]["target"]))

        truncated.append(nearer(long, short, long))
        overrun.append(nearer(short, long, short))
    return {"truncated": fmean(truncated), "overrun": fmean(overrun)}
