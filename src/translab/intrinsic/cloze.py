"""The cloze test (Taylor 1953, "'Cloze Procedure': A New Tool for Measuring Readability"): one type of a sentence is hidden,
and the model guesses it. The share of right guesses; each sentence has one gap, the same for every model that reads this side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from translab.intrinsic.vectors import batches
from translab.pretraining.objective import GapFiller
from translab.seeds import stream
from translab.text.bpe import SPECIALS

SEED = stream(1, "cloze")


def gaps(sentences: Sequence[list[int]]) -> list[int | None]:
    """The position that is hidden in each sentence, drawn evenly from its ordinary types; None where it has none."""
    draws = np.random.default_rng(SEED).random(len(sentences))
    found: list[int | None] = []
    for sentence, draw in zip(sentences, draws.tolist(), strict=True):
        ordinary = [position for position, token in enumerate(sentence) if token >= len(SPECIALS)]
        found.append(ordinary[int(draw * len(ordinary))] if ordinary else None)
    return found


@torch.no_grad()
def cloze(model: GapFiller, sentences: Sequence[list[int]]) -> dict[str, Any]:
    """Accuracy on the gaps of sentences, given by their types without specials; at least one must have a gap."""
    items = [(sentence, gap) for sentence, gap in zip(sentences, gaps(sentences), strict=True) if gap is not None]
    right = 0
    for rows in batches([sentence for sentence, _ in items]):
        guesses = model.fill([items[row][0] for row in rows], [items[row][1] for row in rows])
        right += sum(items[row][0][items[row][1]] == guess for row, guess in zip(rows, guesses, strict=True))
    return {"accuracy": right / len(items), "gaps": len(items)}
