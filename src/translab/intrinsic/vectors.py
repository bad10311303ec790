"""Vectors of words: static ones from a table, contextual ones from a model's states, and their cosines.

A word of several types has the mean of their vectors. Sentences are read in batches of similar length.

Shapes: N, M words · D width · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from translab.pretraining.objective import Contextual, Objective, Sentences
from translab.text.batching import Examples, bucketed

BATCH_TYPES = 4000
"""Types in a batch, padding included."""
DECIMALS = 9
"""Cosines that agree to so many are ties: vectors that are equal by definition must not differ by the order of a summation."""

TABLES = {"source": "encoder.embedding.tokens.weight", "target": "decoder.embedding.tokens.weight"}


def static_table(objective: Objective) -> Tensor | None:
    """The model's vector of each type, [V, D], or None if it has none."""
    table = objective.network.state_dict().get(TABLES[objective.side])
    return None if table is None else table.detach().cpu().double()


def static_vectors(table: Tensor, words: Sequence[Sequence[int]]) -> Tensor:
    """Vectors of words that are given by their types, [N, D]; the vector of no types is zero."""
    return torch.stack([table[list(ids)].mean(0) if ids else table.new_zeros(table.size(1)) for ids in words])


def batches(sentences: Sentences) -> Iterator[list[int]]:
    """Rows of the sentences, each once, similar lengths together."""
    lists = [list(sentence) for sentence in sentences]
    yield from bucketed(Examples(lists, lists), BATCH_TYPES, None)


@torch.no_grad()
def contextual_vectors(model: Contextual, sentences: Sentences, positions: Sequence[Sequence[int]]) -> Tensor:
    """The vector of one word of each sentence, that of the types at its positions, [N, D]."""
    found: list[Tensor] = [torch.empty(0)] * len(sentences)
    for rows in batches(sentences):
        for row, states in zip(rows, model.states([sentences[row] for row in rows]), strict=True):
            found[row] = states[list(positions[row])].mean(0).cpu().double()
    return torch.stack(found)


@torch.no_grad()
def summary_vectors(summaries: Callable[[Sentences], Tensor], sentences: Sequence[list[int]]) -> Tensor:
    """The vector of each sentence, [N, D], by a method of `Summarised`."""
    found: list[Tensor] = [torch.empty(0)] * len(sentences)
    for rows in batches(sentences):
        for row, vector in zip(rows, summaries([sentences[row] for row in rows]).cpu().double(), strict=True):
            found[row] = vector
    return torch.stack(found)


def cosines(one: Tensor, other: Tensor) -> NDArray[Any]:
    """Cosine of each of [N, D] with each of [M, D], as an array [N, M]; that of a zero vector is 0."""
    normalised = [functional.normalize(vectors.double(), dim=1) for vectors in (one, other)]
    return np.round((normalised[0] @ normalised[1].T).numpy(), DECIMALS)
