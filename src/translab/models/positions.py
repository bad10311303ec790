"""Where a word stands in its sentence, added to what the word is.

Vaswani et al. 2017, "Attention Is All You Need" (https://arxiv.org/abs/1706.03762), section 3.5:

    PE(p, 2i) = sin(p / 10000^(2i/D))        PE(p, 2i+1) = cos(p / 10000^(2i/D))

Every kind of positions has the same call, the same maximum length and the same refusal beyond it, and differs in one thing:

    sinusoidal                the table above, fixed
    learned-from-sinusoidal   a trainable table that starts from the one above: against `sinusoidal`, trainability alone
    learned                   a trainable table drawn from a normal distribution whose root mean square is that of the
                              sinusoidal table, sqrt(1/2), so that words and positions start in the same proportion
    none                      nothing is added

Shapes: B batch · T length · D width · M maximum length.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SINUSOIDAL_RMS = math.sqrt(0.5)
"""Root mean square of the sinusoidal table: each pair holds a sine and a cosine of one angle, and sin² + cos² = 1."""


class SentenceTooLong(ValueError):
    """A sentence has more tokens than the model has positions."""


def sinusoidal_table(maximum_length: int, width: int) -> Tensor:
    """The published table, [M, D], computed in float64 and rounded once.

    >>> sinusoidal_table(2, 512)[1, :2]
    tensor([0.8415, 0.5403])
    """
    position = torch.arange(maximum_length, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)  # [M, D/2]
    return torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(maximum_length, width).float()


class Positions(nn.Module):
    """No positions: the base of the other kinds, which add a row of `table` for each place in the sentence."""

    table: Tensor | None

    def __init__(self, maximum_length: int, width: int) -> None:
        super().__init__()
        self.maximum_length = maximum_length
        self.register_buffer("table", None, persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add positions `start`, `start + 1`, … to x [B, T, D].

        Raises:
            SentenceTooLong: if a position lies beyond the maximum length.
        """
        end = start + x.size(1)
        if end > self.maximum_length:
            raise SentenceTooLong(
                f"model.maximum_length: found a sentence of {end} tokens (START, END and the like included), allowed are at "
                f"most {self.maximum_length}; shorten the sentence or raise model.maximum_length."
            )
        return x if self.table is None else x + self.table[start:end]


class Sinusoidal(Positions):
    """The fixed table; a buffer that is not saved, because it follows from its size."""

    def __init__(self, maximum_length: int, width: int) -> None:
        super().__init__(maximum_length, width)
        self.register_buffer("table", sinusoidal_table(maximum_length, width), persistent=False)


class Learned(Positions):
    """A trainable table; `initialise` draws it with the root mean square of the sinusoidal one."""

    table: nn.Parameter

    def __init__(self, maximum_length: int, width: int) -> None:
        super().__init__(maximum_length, width)
        self.table = nn.Parameter(torch.empty(maximum_length, width))

    def initialise(self, generator: torch.Generator) -> None:
        """Give the table its first values."""
        nn.init.normal_(self.table, std=SINUSOIDAL_RMS, generator=generator)


class LearnedFromSinusoidal(Learned):
    """A trainable table that starts from the sinusoidal one."""

    def initialise(self, generator: torch.Generator) -> None:
        """Give the table its first values, which need no draw."""
        with torch.no_grad():
            self.table.copy_(sinusoidal_table(self.table.size(0), self.table.size(1)))


KINDS: dict[str, type[Positions]] = {
    "sinusoidal": Sinusoidal,
    "learned-from-sinusoidal": LearnedFromSinusoidal,
    "learned": Learned,
    "none": Positions,
}
"""Kinds of positions by their name in params.yaml."""
