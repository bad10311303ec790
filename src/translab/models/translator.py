"""What training, decoding and evaluation ask of a translation model, whatever its body.

A body is how a model reads and writes a sentence: by attention alone (transformer.py, library.py) or by recurrence
(recurrent.py). All bodies have the same embeddings and the same projection to the target vocabulary; what they make of a source
is its memory, and what they make of the target's types so far is one hidden state a type.

Shapes: B batch · S source length · M rows of the memory (S, or 1 where it is one vector) · E width of the memory · T target
length · D width · H heads · V vocabulary · R rows that are decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from translab.models.initialisation import Linear


class Remembered(Protocol):
    """What a decoder remembers between two steps, for B sentences with R / B rows each."""

    def select(self, sentences: Tensor, rows: Tensor) -> None:
        """Keep only these sentences and these rows, in this order; their ratio must stay what it was."""
        ...

    def select_rows(self, rows: Tensor) -> None:
        """Replace row r by row `rows[r]`, which must belong to the same sentence."""
        ...


@dataclass
class Prefix:
    """What a decoder remembers that keeps no states: all that it has to read again, for R rows."""

    memory: Tensor  # [R, M, E]
    source: Tensor  # [R, S]
    tokens: Tensor  # [R, T]

    def select(self, sentences: Tensor, rows: Tensor) -> None:
        """Keep only these rows, in this order; each brings its sentence along."""
        del sentences
        self.memory, self.source = self.memory[rows], self.source[rows]
        self.select_rows(rows)

    def select_rows(self, rows: Tensor) -> None:
        """Replace row r by row `rows[r]`, which must belong to the same sentence."""
        self.tokens = self.tokens[rows]


class Translator(nn.Module, ABC):
    """An encoder with an `embedding`, a decoder, and the projection to the target vocabulary."""

    encoder: nn.Module
    """Its call: ids [B, S] → hidden states [B, S, D], in the order of the source."""
    decoder: nn.Module
    output: Linear
    maximum_length: int
    """Tokens that a side may have."""
    reads_backwards: bool
    """Whether the encoder has the source reversed, so that its last state stands at the source's first type."""

    @abstractmethod
    def encode(self, source: Tensor) -> Tensor:
        """Ids [B, S] → memory [B, M, E]."""

    @abstractmethod
    def decode(self, target: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T] that begin with [START], memory [B, M, E], source ids [B, S] → hidden states [B, T, D]."""

    def start(self, memory: Tensor, source: Tensor, rows: int) -> Remembered:
        """An empty cache for decoding `rows` hypotheses of each sentence; row r belongs to sentence r // rows.

        Here no state is kept: each step reads all that was written so far again, which is right for every body. A body whose
        states do not change when a token follows keeps them instead.
        """
        memory, source = memory.repeat_interleave(rows, 0), source.repeat_interleave(rows, 0)
        return Prefix(memory, source, source.new_empty(source.size(0), 0))

    def step(self, tokens: Tensor, cache: Any) -> Tensor:
        """One more token of each row, ids [R] → hidden states [R, D]; the cache, which `start` made, grows by it."""
        cache.tokens = torch.cat((cache.tokens, tokens[:, None]), dim=1)
        return self.decode(cache.tokens, cache.memory, cache.source)[:, -1]

    @abstractmethod
    def encoder_attention(self, source: Tensor) -> list[Tensor]:
        """How much each source token looks at each source token, for each layer [B, H, S, S]; rows sum to 1.

        Without self-attention the list is empty.
        """

    @abstractmethod
    def cross_attention(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """How much each target token looks at each source token, for each layer [B, H, T, S]; rows sum to 1.

        Without cross-attention the list is empty.
        """

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Source ids [B, S], target ids [B, T] → logits [B, T, V] of the next target token."""
        logits: Tensor = self.output(self.decode(target, self.encode(source), source))
        return logits
