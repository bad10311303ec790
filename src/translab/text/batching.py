"""From sentences to tensors: special types at the ends, batches within a token budget, of similar lengths or of any.

Shapes: B sentences of a batch · S source length · T target length, both with padding.

Order is a function of the run's seed alone. It does not depend on the model, so variants of one seed see the same batches in
the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from translab.text.bpe import PAD


@dataclass(frozen=True)
class Examples:
    """Encoded pairs, ends included; row i of `source` belongs to row i of `target`."""

    source: list[list[int]]
    target: list[list[int]]

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Sequence[int]) -> Examples:
        """The given rows, in the given order."""
        return Examples([self.source[row] for row in rows], [self.target[row] for row in rows])


@dataclass(frozen=True)
class Batch:
    """Padded pairs."""

    source: Tensor  # [B, S]
    target: Tensor  # [B, T]

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.source.to(device, non_blocking=True), self.target.to(device, non_blocking=True))


def fitting(examples: Examples, maximum_length: int) -> tuple[Examples, int]:
    """The pairs whose sides both fit the model, and how many do not."""
    rows = [
        row
        for row, (source, target) in enumerate(zip(examples.source, examples.target, strict=True))
        # A target enters the decoder without its last type and leaves it without its first.
        if len(source) <= maximum_length and len(target) - 1 <= maximum_length
    ]
    return examples.take(rows), len(examples) - len(rows)


def pad(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Sequences side by side, [B, longest], filled up with [PAD]."""
    padded = np.full((len(sequences), max(map(len, sequences))), PAD, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return torch.from_numpy(padded)


def collate(examples: Examples, rows: Sequence[int]) -> Batch:
    """The given rows as one padded batch."""
    return Batch(pad([examples.source[row] for row in rows]), pad([examples.target[row] for row in rows]))


def bucketed(examples: Examples, tokens: int, generator: np.random.Generator | None) -> list[list[int]]:
    """Rows in batches: each row exactly once, similar lengths together, at most `tokens` target types with padding.

    Args:
        examples: the pairs.
        tokens: budget; a sentence longer than it makes a batch of its own.
        generator: draws who shares a batch with whom among equal lengths, and the order of the batches; None keeps the order of
            lengths (for validation).
    """
    source = np.fromiter(map(len, examples.source), dtype=np.int64, count=len(examples))
    target = np.fromiter(map(len, examples.target), dtype=np.int64, count=len(examples))
    tie = generator.permutation(len(examples)) if generator is not None else np.arange(len(examples))
    order = np.lexsort((tie, source, target))
    batches: list[list[int]] = []
    batch: list[int] = []
    for row in order.tolist():
        # Lengths rise, so the newest row is the longest.
        if batch and (len(batch) + 1) * int(target[row]) > tokens:
            batches.append(batch)
            batch = []
        batch.append(row)
    if batch:
        batches.append(batch)
    if generator is not None:
        batches = [batches[index] for index in generator.permutation(len(batches)).tolist()]
    return batches


def unbucketed(examples: Examples, tokens: int, generator: np.random.Generator) -> list[list[int]]:
    """Rows in random order in batches: each row exactly once, at most `tokens` target types with padding.

    The control of `bucketed`: within the same budget padding takes the room of sentences, so an epoch has more batches.

    Args:
        examples: the pairs.
        tokens: budget; a sentence longer than it makes a batch of its own.
        generator: draws the order of the rows.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in generator.permutation(len(examples)).tolist():
        longest = max(longest, len(examples.target[row]))
        if not batches or (len(batches[-1]) + 1) * longest > tokens:
            batches.append([])
            longest = len(examples.target[row])
        batches[-1].append(row)
    return batches


class EndlessBatches(IterableDataset[Batch]):
    """Epoch after epoch of batches, each epoch drawn anew from (seed, epoch).

    Args:
        examples: the pairs; an epoch has each of them once.
        tokens: budget of a batch in target types, padding included.
        bucketing: whether sentences of similar lengths share a batch.
        seed: of the order.
        first: how many batches have been seen already.
    """

    def __init__(self, examples: Examples, tokens: int, bucketing: bool, seed: int, first: int) -> None:
        self.examples = examples
        self.tokens = tokens
        self.divide = bucketed if bucketing else unbucketed
        self.seed = seed
        self.first = first

    def __iter__(self) -> Iterator[Batch]:
        return (collate(self.examples, rows) for rows in islice(self._rows(), self.first, None))

    def _rows(self) -> Iterator[list[int]]:
        for epoch in count():
            yield from self.divide(self.examples, self.tokens, np.random.default_rng((self.seed, epoch)))
