"""What writes a translation by recurrence, with and without a look at the source.

    lstm, rnn         the decoder starts from the encoder's last state, layer by layer, and never sees the source again
                      (Sutskever, Vinyals & Le 2014, https://arxiv.org/abs/1409.3215, section 2)
    lstm-attention    Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation"
                      (https://arxiv.org/abs/1508.04025), global attention with the `general` score, without input feeding:
                      a = softmax(h_t W_a m_s),  c_t = Σ_s a_s m_s,  h̃_t = tanh(W_c [c_t; h_t])    (equations 5, 7, 8)
                      It starts from tanh(W_s ←m_1), where ←m_1 has read the whole source, and a zero c
                      (Bahdanau, Cho & Bengio 2015, https://arxiv.org/abs/1409.0473, appendix A.2.2).

Without input feeding attention stands outside the recurrence, so that all of a target's types are read in one go. The
projections have biases; the states m and what is handed on, h̃ or h, are normalised (recurrent.py says why).

Shapes: B batch · S source length · T target length · D width · P parts of a state (h; h and c) · L layers · R rows that are
decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from translab import config
from translab.models.attention import padding_mask
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import PADDING, dropout, softmax
from translab.models.recurrent import PARTS, Kind, Recurrence, embedding


@dataclass
class Cache:
    """What a decoder remembers between two steps, for B sentences with R / B rows each."""

    length: int
    memory: Tensor  # [B, …]
    source: Tensor  # [B, S]
    states: list[Tensor]  # of each layer, [P, R, D]

    def select(self, sentences: Tensor, rows: Tensor) -> None:
        """Keep only these sentences and these rows, in this order; their ratio must stay what it was."""
        self.select_rows(rows)
        self.memory, self.source = self.memory[sentences], self.source[sentences]

    def select_rows(self, rows: Tensor) -> None:
        """Replace row r by row `rows[r]`, which must belong to the same sentence."""
        self.states = [state[:, rows] for state in self.states]


class RecurrentDecoder(nn.Module, ABC):
    """Writes a sentence from left to right.

    Args:
        values: the model's section of params.yaml.
        kind: of the layers.
        types: size of the vocabulary.
    """

    def __init__(self, values: config.Model, kind: Kind, types: int) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.embedding = embedding(values, types)
        self.layers = nn.ModuleList(Recurrence(kind, values.width, values.width) for _ in range(values.decoder_layers))
        self.norm = nn.LayerNorm(values.width)

    @abstractmethod
    def first_states(self, memory: Tensor) -> list[Tensor]:
        """The state [P, B, D] from which each layer starts."""

    @abstractmethod
    def look(self, h: Tensor, memory: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last layer's h [B, T, D] → hidden states [B, T, D], and attention weights [B, 1, T, S] where there are some."""

    def forward(self, tokens: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T], the encoder's memory, the source's ids [B, S] → hidden states [B, T, D]."""
        return self.with_attention(tokens, memory, source)[0]

    def with_attention(self, tokens: Tensor, memory: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, and the attention weights."""
        h, _ = self._read(self.embedding(tokens), (tokens != PADDING)[:, :, None], self.first_states(memory))
        hidden, maps = self.look(h, memory, source)
        return dropout(self.norm(hidden), self.dropout, self.training), maps

    def _read(self, x: Tensor, real: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """x [B, T, D] → the last layer's h [B, T, D], and the state of each layer."""
        after = []
        for depth, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            if depth:
                x = dropout(x, self.dropout, self.training)
            x, state = layer(x, real, before)
            after.append(state)
        return x, after

    def start(self, memory: Tensor, source: Tensor, rows: int) -> Cache:
        """A cache for `rows` hypotheses of each sentence that have no word yet; row r belongs to sentence r // rows."""
        return Cache(0, memory, source, [state.repeat_interleave(rows, dim=1) for state in self.first_states(memory)])

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """One more token of each row, ids [R] → hidden states [R, D]; the cache goes on by it."""
        x = self.embedding(tokens[:, None], cache.length)
        h, cache.states = self._read(x, torch.ones_like(x[:, :, :1]), cache.states)
        cache.length += 1
        # The rows of one sentence share its memory: to attention they are several places of one sentence.
        hidden, _ = self.look(h.view(cache.memory.size(0), -1, h.size(-1)), cache.memory, cache.source)
        written: Tensor = self.norm(hidden).view(-1, hidden.size(-1))
        return written


class LastStateDecoder(RecurrentDecoder):
    """Starts from the encoder's last state; its memory is [B, 1, L·P·D].

    Args: as for `RecurrentDecoder`, and `generator` of the first values, from which one number is drawn.
    """

    def __init__(self, values: config.Model, kind: Kind, types: int, generator: torch.Generator) -> None:
        super().__init__(values, kind, types)
        self.parts = PARTS[kind]
        initialise(self, generator)

    def first_states(self, memory: Tensor) -> list[Tensor]:
        """The state [P, B, D] from which each layer starts."""
        states = memory.view(memory.size(0), len(self.layers), self.parts, -1)  # [B, L, P, D]
        return [state.transpose(0, 1).contiguous() for state in states.unbind(1)]

    def look(self, h: Tensor, memory: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last layer's h as it is: the source is not seen again."""
        return h, []


class AttentionDecoder(RecurrentDecoder):
    """Looks at the source's states, its memory [B, S, D], after each type that it has read.

    Args: as for `LastStateDecoder`.
    """

    def __init__(self, values: config.Model, kind: Kind, types: int, generator: torch.Generator) -> None:
        super().__init__(values, kind, types)
        self.first = Linear(values.width // 2, values.decoder_layers * values.width)
        self.score = Linear(values.width, values.width)
        self.combined = Linear(2 * values.width, values.width)
        initialise(self, generator)

    def first_states(self, memory: Tensor) -> list[Tensor]:
        """The state [P, B, D] from which each layer starts."""
        backwards = memory[:, 0, memory.size(-1) // 2 :]  # ←m_1, [B, D/2]
        starts = torch.tanh(self.first(backwards)).view(memory.size(0), len(self.layers), -1)  # [B, L, D]
        layers = cast(list[Recurrence], self.layers)
        states = [layer.before(memory.size(0)) for layer in layers]
        return [torch.cat((start[None], state[1:])) for start, state in zip(starts.unbind(1), states, strict=True)]

    def look(self, h: Tensor, memory: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last layer's h [B, T, D] → h̃ [B, T, D], and the weights [B, 1, T, S]."""
        queries, keys = self.score(h), memory.transpose(1, 2)
        mask = padding_mask(source, 1)
        weights = softmax(torch.bmm(queries, keys) if mask is None else torch.baddbmm(mask, queries, keys))  # [B, T, S]
        return torch.tanh(self.combined(torch.cat((torch.bmm(weights, memory), h), dim=2))), [weights[:, None]]
