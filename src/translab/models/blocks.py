"""The parts of a Transformer's layer, and the two kinds of layer.

Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), sections 3.1, 3.3 and 3.4. Normalisation stands before each sub-layer
(`pre`: Xiong et al. 2020, https://arxiv.org/abs/2002.04745) or after its connection (`post`: the original). Deviation from the
paper, as in PyTorch's own layers: dropout acts within the feed-forward and on attention weights too.

What came in, x, and what a sub-layer f makes of it are connected by

    residual   x + f(x)                                                   He et al. 2016, and the Transformer
    highway    x · (1 − T) + T · f(x),  T = σ(W x + b),  b = −2 at first  Srivastava, Greff & Schmidhuber 2015
                                                                          (https://arxiv.org/abs/1505.00387), equation 3
    none       f(x)

Shapes: B batch · T target length · S source length · D width · H heads · K width of a head · R rows that are decoded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translab import config
from translab.models import initialisation
from translab.models.attention import CrossAttention, SelfAttention
from translab.models.initialisation import Linear
from translab.models.kernels import PADDING, dropout
from translab.models.positions import KINDS, Positions

CARRY = -2.0
"""Added to a highway's gate, which so begins by letting most of what came in pass unchanged: σ(−2) = 0.12."""


class Embedding(nn.Module):
    """Token ids → vectors: the token's row times sqrt(D), plus its position, under dropout."""

    def __init__(self, values: config.Model, types: int) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.scale = math.sqrt(values.width)
        self.tokens = initialisation.Embedding(types, values.width, padding_idx=PADDING)
        self.positions: Positions = KINDS[values.positions](values.maximum_length, values.width)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """tokens [B, T], the first of which stands at position `start` → [B, T, D]."""
        return dropout(self.positions(self.tokens(tokens) * self.scale, start), self.dropout, self.training)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them, applied to every position alike."""

    def __init__(self, values: config.Model) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.inner = Linear(values.width, values.feedforward)
        self.outer = Linear(values.feedforward, values.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        output: Tensor = self.outer(dropout(F.relu(self.inner(x)), self.dropout, self.training))
        return output


def highway(x: Tensor, output: Tensor, gate: Tensor) -> Tensor:
    """A mean of x and a layer's output, weighted by the gate before its σ; all of one shape."""
    through = torch.sigmoid(gate + CARRY)
    return through * output + (1 - through) * x


class Connection(nn.Module):
    """What surrounds a sub-layer f, for instance `pre` with residual: x + f(norm(x)), `post` with residual: norm(x + f(x)).

    A highway's gate reads x itself. Dropout acts on f's output.
    """

    def __init__(self, values: config.Model) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.pre = values.normalisation == "pre"
        self.carries = values.connection != "none"
        self.norm = nn.LayerNorm(values.width)
        self.gate = Linear(values.width, values.width) if values.connection == "highway" else None

    def enter(self, x: Tensor) -> Tensor:
        """What the sub-layer sees."""
        return self.norm(x) if self.pre else x

    def leave(self, x: Tensor, output: Tensor) -> Tensor:
        """What came in [B, T, D] and the sub-layer's output in one."""
        output = dropout(output, self.dropout, self.training)
        if self.gate is not None:
            x = highway(x, output, self.gate(x))
        elif self.carries:
            x = x + output
        else:
            x = output
        return x if self.pre else self.norm(x)


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, values: config.Model) -> None:
        super().__init__()
        self.self_attention = SelfAttention(values)
        self.self_attention_residual = Connection(values)
        self.feedforward = FeedForward(values)
        self.feedforward_residual = Connection(values)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, S, D] → [B, S, D], and the attention weights [B·H, S, S]; `mask` hides padding."""
        around = self.self_attention_residual
        output, weights = self.self_attention(around.enter(x), mask)
        x = around.leave(x, output)
        around = self.feedforward_residual
        return around.leave(x, self.feedforward(around.enter(x))), weights


@dataclass
class LayerCache:
    """What a decoder layer remembers between two steps."""

    keys: Tensor  # of the words so far, [R, H, T, K]
    values: Tensor
    memory_keys: Tensor  # [B, H, S, K]
    memory_values: Tensor


class DecoderLayer(nn.Module):
    """Self-attention (masked, unless the decoder is not causal), cross-attention, then feed-forward."""

    def __init__(self, values: config.Model) -> None:
        super().__init__()
        self.self_attention = SelfAttention(values)
        self.self_attention_residual = Connection(values)
        self.cross_attention = CrossAttention(values)
        self.cross_attention_residual = Connection(values)
        self.feedforward = FeedForward(values)
        self.feedforward_residual = Connection(values)

    def forward(self, x: Tensor, memory: Tensor, hidden: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, T, D], memory [B, S, D] → [B, T, D], and the cross-attention weights [B·H, T, S].

        `hidden` is what self-attention must not see, [T, T] or [B·H, 1, T], `mask` hides the source's padding.
        """
        around = self.self_attention_residual
        x = around.leave(x, self.self_attention(around.enter(x), hidden)[0])
        keys, values = self.cross_attention.keys_values(memory)
        return self._finish(x, keys, values, mask)

    def _finish(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        around = self.cross_attention_residual
        output, weights = self.cross_attention(around.enter(x), keys, values, mask)
        x = around.leave(x, output)
        around = self.feedforward_residual
        return around.leave(x, self.feedforward(around.enter(x))), weights

    def start(self, memory: Tensor, rows: int) -> LayerCache:
        """A cache for `rows` rows that have no word yet; row r belongs to sentence r // (rows / B)."""
        keys, values = (self.cross_attention.by_head(part) for part in self.cross_attention.keys_values(memory))
        nothing = keys.new_empty(rows, keys.size(1), 0, keys.size(-1))
        return LayerCache(nothing, nothing, keys, values)

    def step(self, x: Tensor, cache: LayerCache, mask: Tensor | None) -> Tensor:
        """One more word x [R, 1, D] → [R, 1, D]; the cache grows by it."""
        around = self.self_attention_residual
        output, cache.keys, cache.values = self.self_attention.step(around.enter(x), cache.keys, cache.values)
        x = around.leave(x, output)
        # The rows of one sentence share its memory: to cross-attention they are several queries of one sentence.
        x = x.view(cache.memory_keys.size(0), -1, x.size(-1))  # [B, R/B, D]
        x, _ = self._finish(x, cache.memory_keys.flatten(0, 1), cache.memory_values.flatten(0, 1), mask)
        return x.view(-1, 1, x.size(-1))
