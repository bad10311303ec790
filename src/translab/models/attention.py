"""Every word looks at words: scaled dot-product attention with several heads.

Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), section 3.2:  softmax(Q Kᵀ / sqrt(K)) V  in each head, whose width is
D / H, so the number of heads does not change the number of parameters. As in PyTorch's own layer, the projections of queries,
keys and values are one matrix, there are biases, and dropout acts on the weights.

    attention_scale    `none` leaves out the division: the K products of independent parts with variance 1 that make a score
                       sum to variance K (section 3.2.1), and the softmax of large scores is almost a choice of one word
    cross_projection   `none` leaves out W^K and W^V of cross-attention (section 3.2.2): a head's keys and values are its
                       K columns of the encoder's states. For one head nothing is lost, because
                       (W^Q x)ᵀ (W^K m) = ((W^K)ᵀ W^Q x)ᵀ m  and  W^O Σ a W^V m = (W^O W^V) Σ a m;
                       several heads lose the choice of what each of them looks at

Shapes: B batch · T length of the queries' side · S length of the keys' side · D width · H heads · K width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from translab import config
from translab.models.initialisation import Linear
from translab.models.kernels import PADDING, dropout, softmax

HIDDEN = -1.0e9
"""Added to the score of a hidden position: its weight is exactly 0, and a row that is hidden altogether stays a number."""


def padding_mask(tokens: Tensor, heads: int) -> Tensor | None:
    """What keeps attention off padding, [B·H, 1, S], or nothing where a batch on the CPU holds no padding."""
    padded = tokens == PADDING  # [B, S]
    # On a GPU the question alone would make the processor wait for the device.
    if tokens.device.type == "cpu" and not padded.any():
        return None
    return (padded * HIDDEN).repeat_interleave(heads, dim=0).unsqueeze(1)


def causal_mask(maximum_length: int) -> Tensor:
    """What keeps a word from later ones, [T, T]."""
    return torch.full((maximum_length, maximum_length), HIDDEN).triu(1)


class Queries(nn.Linear):
    """A projection of queries alone, which starts as that of one matrix with keys and values does."""

    def reset_parameters(self) -> None:
        """Leave the values open."""

    def initialise(self, generator: torch.Generator) -> None:
        """Xavier uniform for the rows of all three, of which the first are kept; biases zero."""
        rows = nn.init.xavier_uniform_(torch.empty(3 * self.out_features, self.in_features), generator=generator)
        with torch.no_grad():
            self.weight.copy_(rows[: self.out_features])
            self.bias.zero_()


class Attention(nn.Module):
    """Projections and the weighted mean, shared by self-attention and cross-attention."""

    projection: nn.Linear

    def __init__(self, values: config.Model) -> None:
        super().__init__()
        self.heads = values.heads
        self.dropout = values.dropout
        self.scale = (values.width // values.heads) ** -0.5 if values.attention_scale == "sqrt" else 1.0
        self.projection = Linear(values.width, 3 * values.width)  # rows: queries, keys, values
        self.output = Linear(values.width, values.width)

    def split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[B, T, parts·D] → `parts` tensors [B·H, T, K]."""
        batch, length, _ = x.shape
        x = x.view(batch, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4)
        return x.reshape(parts, batch * self.heads, length, -1).unbind(0)

    def by_head(self, x: Tensor) -> Tensor:
        """[B·H, …] → [B, H, …]."""
        return x.view(-1, self.heads, *x.shape[1:])

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weighted means of the values [B, T, D], and the weights [B·H, T, S] before dropout."""
        queries = queries * self.scale
        keys = keys.transpose(1, 2)
        scores = torch.bmm(queries, keys) if mask is None else torch.baddbmm(mask, queries, keys)  # [B·H, T, S]
        weights = softmax(scores)
        means = torch.bmm(dropout(weights, self.dropout, self.training), values)  # [B·H, T, K]
        return self.output(self.by_head(means).transpose(1, 2).flatten(2)), weights


class SelfAttention(Attention):
    """Attention of a sentence to itself."""

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, T, D] → [B, T, D], and the weights [B·H, T, T]; `mask` is [B·H, 1, T] or [T, T]."""
        queries, keys, values = self.split(self.projection(x), 3)
        return self.attend(queries, keys, values, mask)

    def step(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One more word x [B, 1, D] after those whose keys and values [B, H, T, K] are known; all are returned."""
        query, key, value = self.split(self.projection(x), 3)
        keys = torch.cat((keys, self.by_head(key)), dim=2)
        values = torch.cat((values, self.by_head(value)), dim=2)
        return self.attend(query, keys.flatten(0, 1), values.flatten(0, 1), None)[0], keys, values


class CrossAttention(Attention):
    """Attention of the target to the encoder's output (the memory)."""

    def __init__(self, values: config.Model) -> None:
        super().__init__(values)
        self.projects_memory = values.cross_projection == "separate"
        if not self.projects_memory:
            self.projection = Queries(values.width, values.width)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of memory [B, S, D], each [B·H, S, K]: the same for every word of the target."""
        if not self.projects_memory:
            (states,) = self.split(memory, 1)
            return states, states
        width = memory.size(-1)
        projected = linear(memory, self.projection.weight[width:], self.projection.bias[width:])
        keys, values = self.split(projected, 2)
        return keys, values

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, T, D] → [B, T, D], and the weights [B·H, T, S]; `mask` is [B·H, 1, S]."""
        width = x.size(-1)
        (queries,) = self.split(linear(x, self.projection.weight[:width], self.projection.bias[:width]), 1)
        return self.attend(queries, keys, values, mask)
