"""Loss and accuracy under teacher forcing: the model reads the reference's types and guesses each one's successor.

`by_position` sets beside it what the model writes when it reads its own types: a decoder that may look ahead is always right in
the first and lost in the second.

Shapes: N predicted types of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from translab.pretraining.objective import Measure, Objective
from translab.pretraining.translation import Translation
from translab.text.batching import Examples, bucketed, collate, fitting

LEAST_SENTENCES = 20
"""Positions that fewer references reach are pooled."""


@dataclass(frozen=True)
class Forced:
    """A test set under teacher forcing."""

    rows: list[int]
    """The pairs that fit the model, which alone are measured."""
    measure: Measure
    hits: list[list[bool]]
    """For each of these pairs, whether each type was guessed; empty unless the model translates."""


@torch.no_grad()
def forced(objective: Objective, examples: Examples, longest: int, tokens: int, device: torch.device) -> Forced:
    """Measure pairs.

    Args:
        objective: in evaluation mode.
        examples: its pairs.
        longest: types that the model reads.
        tokens: target types in a batch, padding included.
        device: of the network.
    """
    fit, too_long = fitting(examples, longest)
    rows = [row for row in range(len(examples)) if not too_long or len(fitting(examples.take([row]), longest)[0])]
    hits: list[list[bool]] = [[] for _ in rows]
    measures = []
    for batch_rows in bucketed(fit, tokens, None):
        batch = collate(fit, batch_rows).to(device)
        if isinstance(objective, Translation):
            loss, found = objective.judged(batch, objective.network.encode(batch.source))
            measures.append(Measure(loss, int(found.sum()), len(found)))
            following = iter(found.tolist())
            for row in batch_rows:
                hits[row] = list(islice(following, len(fit.target[row]) - 1))
        else:
            measures.append(objective.measure(batch))
    return Forced(rows, total(measures), hits)


def mean_scores(measure: Measure) -> dict[str, Any]:
    """Mean loss, perplexity and accuracy."""
    loss = measure.loss / measure.tokens
    return {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "accuracy": measure.correct / measure.tokens}


def total(measures: Sequence[Measure]) -> Measure:
    """Of all batches together."""
    return Measure(
        sum(measure.loss for measure in measures),
        sum(measure.correct for measure in measures),
        sum(measure.tokens for measure in measures),
    )


def by_position(found: Forced, targets: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """How often the type at each position is the reference's.

    Args:
        found: under teacher forcing.
        targets: the references' types from the first to [END], of all pairs.
        outputs: what the model wrote, in the same way; where it has ended before, nothing agrees.

    Returns:
        for each position from 1 on: `position` and `last` (its own number, or that of the last one where several are pooled),
        `all` (types of the references), `forced` (share guessed under teacher forcing) and `free` (share that the model's own
        output has at the same place).
    """
    counts: list[list[int]] = []  # all, forced, free
    for row, hits in zip(found.rows, found.hits, strict=True):
        output = outputs[row]
        for place, (right, hit) in enumerate(zip(targets[row], hits, strict=True)):
            if place == len(counts):
                counts.append([0, 0, 0])
            count = counts[place]
            count[0] += 1
            count[1] += hit
            count[2] += place < len(output) and output[place] == right
    # Fewer and fewer references reach a position, so what is pooled stands at the end.
    first = next((place for place, count in enumerate(counts) if count[0] < LEAST_SENTENCES), len(counts))
    rows = [(place, place, counts[place]) for place in range(first)]
    if first < len(counts):
        rows.append((first, len(counts) - 1, [sum(column) for column in zip(*counts[first:], strict=True)]))
    return [
        {"position": start + 1, "last": end + 1, "all": all_, "forced": forced_ / all_, "free": free / all_}
        for start, end, (all_, forced_, free) in rows
    ]
