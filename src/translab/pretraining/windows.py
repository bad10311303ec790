"""What cbow, skipgram and glove share: windows of a padded batch, how often types occur, and the guess of a hidden type.

The pairs of a batch are a band around the diagonal of an S × S matrix for each sentence, so that every sum over windows is a
matrix product: even for sentences of a hundred types that costs less than a shift of the batch for each distance.

Left out of word2vec (Mikolov et al. 2013a, b): windows of random size, which weigh near types more, and the subsampling of
frequent words, which spares time on long texts.

Shapes: B sentences · S length with ends · D width · V vocabulary · N gaps · K draws.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from translab.pretraining.gaps import batches, best_ordinary, in_order
from translab.pretraining.objective import Sentences
from translab.pretraining.vectors import OneSided, WordVectors, with_ends
from translab.text.batching import Examples
from translab.text.bpe import PAD, SPECIALS

NOISE_EXPONENT = 0.75
"""Negatives are drawn in proportion to count^¾ (Mikolov et al. 2013b, section 2.2)."""


def near(sentences: Tensor, window: int) -> Tensor:
    """Which two positions of a sentence stand in each other's window.

    Args:
        sentences: ids, [B, S].
        window: largest distance, types on each side.

    Returns:
        [B, S, S] of bool; symmetric, without the diagonal and without padding.
    """
    real = sentences != PAD  # [B, S]
    positions = torch.arange(sentences.size(1), device=sentences.device)
    apart = (positions[:, None] - positions).abs()  # [S, S]
    return (apart > 0) & (apart <= window) & real[:, :, None] & real[:, None, :]


class Frequencies(nn.Module):
    """How often each type occurs in the training text, and noise drawn in proportion to count^¾."""

    counts: Tensor  # [V]
    cumulative: Tensor  # [V], of the noise's probabilities

    def __init__(self, types: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(types, dtype=torch.int64))
        self.register_buffer("cumulative", torch.zeros(types, dtype=torch.float64))

    def count(self, examples: Examples, ends: bool) -> None:
        """Count the types of a text; with `ends` [START] and [END] too, else no special type."""
        ids = torch.tensor(list(chain.from_iterable(examples.source)))
        counts = torch.bincount(ids, minlength=self.counts.numel())
        counts[PAD] = 0
        if not ends:
            counts[: len(SPECIALS)] = 0
        self.counts.copy_(counts)
        noise = counts.double() ** NOISE_EXPONENT
        self.cumulative.copy_(noise.cumsum(0) / noise.sum())

    def draw(self, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        """Types drawn from the noise, of this shape; `generator` None is PyTorch's own."""
        uniform = torch.rand(tuple(shape), generator=generator, dtype=torch.float64, device=self.cumulative.device)
        return torch.searchsorted(self.cumulative, uniform, right=True).clamp_(max=self.counts.numel() - 1)

    def share(self) -> Tensor:
        """Each type's share of the text, [V]."""
        return self.counts / self.counts.sum()

    def log_noise(self) -> Tensor:
        """ln of each type's probability as noise, [V]."""
        return self.cumulative.diff(prepend=self.cumulative.new_zeros(1)).float().log()


class WindowMethod(OneSided):
    """A method that knows a type by the types in its window; a gap is filled from the sum of their vectors."""

    network: WordVectors
    window: int

    @abstractmethod
    def surrounding_table(self) -> Tensor:
        """Vectors of types as they are seen from a gap, [V, D]."""

    @abstractmethod
    def scores(self, surroundings: Tensor, neighbours: Tensor) -> Tensor:
        """How probable each type is in a gap, up to a constant of the gap.

        Args:
            surroundings: sum of the `surrounding_table` rows of the types around each gap, [N, D].
            neighbours: how many they are, [N, 1].

        Returns:
            [N, V].
        """

    @torch.no_grad()
    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The most probable ordinary type at each sentence's gap, given the types in the window around it."""
        table = self.surrounding_table()
        guesses: dict[int, int] = {}
        for rows, batch in batches(with_ends(sentences), table.device):
            # [START] stands before the first type, so a gap's place is one further on.
            places = torch.tensor([gaps[row] + 1 for row in rows], device=table.device)  # [B]
            around = near(batch, self.window)[torch.arange(len(rows), device=table.device), places]  # [B, S]
            sums = (around.to(table.dtype)[:, None] @ table[batch])[:, 0]  # [B, D]
            best = best_ordinary(self.scores(sums, around.sum(-1, keepdim=True)))  # [B]
            guesses.update(zip(rows, best.tolist(), strict=True))
        return in_order(guesses)
