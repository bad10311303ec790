"""Counts of things that are too many to have a place each: pairs of types, n-grams.

What was counted is a part of the network, so that a saved model can be measured alone. How many different things there are is
known only after counting, so a table takes the size that it finds when it is loaded.

Shapes: N things · M different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class CountTable(nn.Module):
    """How often each key was seen; a key is a number that stands for a thing, such as first · V + second for a pair.

    Args:
        dtype: of the counts: whole numbers, or sums of weights (float64, so that their order does not matter much).
    """

    keys: Tensor  # [M], ascending
    counts: Tensor  # [M]

    def __init__(self, dtype: torch.dtype = torch.int64) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, dtype=torch.int64))
        self.register_buffer("counts", torch.empty(0, dtype=dtype))

    def __len__(self) -> int:
        """Different keys."""
        return self.keys.numel()

    def count(self, keys: Tensor, weights: Tensor | None = None) -> None:
        """Count anew; what was counted before is forgotten. Arguments as for `add`."""
        self.keys, self.counts = self.keys.new_empty(0), self.counts.new_empty(0)
        self.add(keys, weights)

    @torch.no_grad()
    def add(self, keys: Tensor, weights: Tensor | None = None) -> None:
        """Count more; a long text is counted piece by piece.

        Args:
            keys: [N] of int64, in any order.
            weights: [N], what each occurrence adds; None is one each.
        """
        each = torch.ones_like(keys) if weights is None else weights
        different, place = torch.unique(torch.cat([self.keys, keys]), return_inverse=True)  # [M], [M before + N]
        each = torch.cat([self.counts, each.to(self.counts.dtype)])
        self.keys, self.counts = different, self.counts.new_zeros(different.numel()).index_add_(0, place, each)

    def forward(self, keys: Tensor) -> Tensor:
        """Counts of these keys, of their shape; 0 for those that were never seen."""
        rows, seen = self.find(keys)
        return torch.where(seen, self.counts[rows], 0) if len(self) else self.counts.new_zeros(keys.shape)

    def find(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """The row of each key in `keys` and `counts`, and whether it was seen at all; the row of others means nothing."""
        rows = torch.searchsorted(self.keys, keys).clamp_(max=max(0, len(self) - 1))
        seen = self.keys[rows] == keys if len(self) else torch.zeros_like(keys, dtype=torch.bool)
        return rows, seen

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("keys", "counts"):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                own = getattr(self, name)
                setattr(self, name, own.new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
