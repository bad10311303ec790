"""Probes: does a model know one phenomenon? Two measures an item, one that it is asked for and one that it volunteers.

    choice       forced choice between the target and a wrong translation; where the translations are the same and only the
                 attention could tell (`wrong` is null), between the antecedent and its rival
    acceptance   the greedy translation is one of the source's translations

Items come in twins, whose right answers are each other's wrong ones, so a model that ignores what decides is at one half.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
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
from translab.text.bpe import END, START, decode, encode

LENGTH_PROBE = "end"
"""The probe whose twins are a short and a long source that begin alike."""

CHOICE_TOKENS = 4000
"""Target types in a batch of the forced choice, padding included: large enough for full speed, small enough for the cache."""

Item = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """A file of items; its name is the probe's."""

    path: Path
    items: list[Item]


@dataclass(frozen=True)
class _Encoded:
    """The types of every sentence that is asked for, by its text; one of several items is encoded once."""

    sources: dict[str, list[int]]
    targets: dict[str, list[int]]


def read_probe(path: Path) -> Probe:
    """Read `probes/<name>.parquet`."""
    return Probe(path, read_table(path).to_pylist())


def evaluate_probes(
    objective: Translation, probes: Sequence[Probe], run: Run, batch_tokens: int
) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """Measure probes, all together: a source of several items is translated once, and batches are full.

    Args:
        objective: the trained model.
        probes: at least one.
        run: the model's configuration.
        batch_tokens: source tokens in a decoding batch.

    Returns:
        a row for each item of each probe, and each probe's scores by name.

    Raises:
        EvaluationError: if a sentence is too long for the model.
    """
    encoded = _encoded(objective, [item for probe in probes for item in probe.items])
    for probe in probes:
        _check_lengths(probe, encoded, run.values.model.maximum_length)
    sources = list(encoded.sources.values())
    hypotheses = translate(objective.network, sources, beam=1, length_penalty=0.0, batch_tokens=batch_tokens)
    texts = decode(objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])
    outputs = dict(zip(encoded.sources, texts, strict=True))
    found = _margins(objective, probes, encoded)
    measured = [_measured(probe, [outputs[item["source"]] for item in probe.items], found[probe.path]) for probe in probes]
    scores = {probe.path.stem: result for probe, (_, result) in zip(probes, measured, strict=True)}
    return pa.concat_tables(table for table, _ in measured), scores


def _encoded(objective: Translation, items: Sequence[Item]) -> _Encoded:
    sources = list(dict.fromkeys(item["source"] for item in items))
    targets = list(dict.fromkeys(item[side] for side in ("target", "wrong") for item in items if item[side] is not None))
    ids = encode(objective.vocabularies.target, targets)
    return _Encoded(
        dict(zip(sources, objective.sources(sources), strict=True)),
        {text: [START, *each, END] for text, each in zip(targets, ids, strict=True)},
    )


def _measured(probe: Probe, outputs: Sequence[str], margin: Sequence[float]) -> tuple[pa.Table, dict[str, Any]]:
    """The rows and the scores of one probe."""
    items = probe.items
    chosen = [0.5 if each == 0 else float(each > 0) for each in margin]
    right = accepted(outputs, [item["translations"] for item in items])
    scores = {"items": len(items), "choice": fmean(chosen), "acceptance": right.count(True) / len(right)}
    if probe.path.stem == LENGTH_PROBE:
        scores |= _length_errors(items, outputs)
    table = pa.table(
        {
            "probe": pa.array([probe.path.stem] * len(items)),
            "index": pa.array(range(len(items)), pa.int64()),
            "group": pa.array([item["group"] for item in items], pa.string()),
            "source": pa.array([item["source"] for item in items]),
            "target": pa.array([item["target"] for item in items]),
            "wrong": pa.array([item["wrong"] for item in items], pa.string()),
            "hypothesis": pa.array(outputs),
            "margin": pa.array(margin, pa.float64()),
            "chosen": pa.array(chosen, pa.float64()),
            "accepted": pa.array(right, pa.bool_()),
            "overshoot": pa.array(
                [len(output) - len(item["target"]) for item, output in zip(items, outputs, strict=True)], pa.int64()
            ),
            "tag": pa.array([item["tag"] for item in items], pa.string()),
        }
    )
    return table, scores


def _check_lengths(probe: Probe, encoded: _Encoded, maximum: int) -> None:
    longest = max(
        max(len(encoded.sources[item["source"]]), *(len(encoded.targets[text]) for text in _sides(item)))
        for item in probe.items
    )
    if longest > maximum:
        raise EvaluationError(
            f"{probe.path} holds a sentence of {longest} types, but the model reads {maximum}; raise model.maximum_length, "
            "since a probe is measured whole."
        )


def _sides(item: Item) -> list[str]:
    return [item["target"]] if item["wrong"] is None else [item["target"], item["wrong"]]


def _margins(objective: Translation, probes: Sequence[Probe], encoded: _Encoded) -> dict[Path, list[float]]:
    """How far each item is on the right side."""
    found = {probe.path: _attention(objective, probe, encoded) for probe in probes if _is_attention(probe)}
    rest = [probe for probe in probes if probe.path not in found]
    items = [item for probe in rest for item in probe.items]
    sources = [encoded.sources[item["source"]] for item in items]
    targets, wrongs = ([encoded.targets[item[side]] for item in items] for side in ("target", "wrong"))
    made = iter(margins(objective.network, sources, targets, wrongs, CHOICE_TOKENS))
    return found | {probe.path: list(islice(made, len(probe.items))) for probe in rest}


def _is_attention(probe: Probe) -> bool:
    """Whether both sides of all items have the same translations, so that the attention alone can tell."""
    return all(item["wrong"] is None for item in probe.items)


def _attention(objective: Translation, probe: Probe, encoded: _Encoded) -> list[float]:
    texts = [item["source"] for item in probe.items]
    encodings = objective.vocabularies.source.encode_batch(texts, add_special_tokens=False)
    marked = [json.loads(item["tag"])["words"] for item in probe.items]
    before = len(objective.start)  # what the encoder reads before the text
    looking, right, rival = (
        [
            [before + place for place in tokens_of_word(text, encoding, words[mark])]
            for text, encoding, words in zip(texts, encodings, marked, strict=True)
        ]
        for mark in ("pronoun", "antecedent", "rival")
    )
    sources = [encoded.sources[text] for text in texts]
    return attention_margins(objective.network, sources, looking, right, rival, CHOICE_TOKENS)


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
