"""What the methods share in use: sentences in padded batches, and the guess of a sentence's middle type.

Shapes: B sentences of a batch · S length with padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from tokenizers import Tokenizer
from torch import Tensor

from translab.pretraining.objective import GapFiller, Sentences
from translab.text.batching import Examples, bucketed, pad
from translab.text.bpe import SPECIALS, decode, encode

READ_TOKENS = 4000
"""Types of a batch that is read and not trained on, padding included: no result depends on it but by rounding."""

Result = TypeVar("Result")


def batches(sentences: Sentences, device: torch.device) -> Iterator[tuple[list[int], Tensor]]:
    """Sentences of similar lengths together: which rows, and their ids [B, S]; each row comes once."""
    rows = [list(sentence) for sentence in sentences]
    for batch in bucketed(Examples(rows, rows), READ_TOKENS, None) if rows else []:
        yield batch, pad([rows[row] for row in batch]).to(device)


def in_order(results: dict[int, Result]) -> list[Result]:
    """Results that came by row, in the order of the rows."""
    return [results[row] for row in range(len(results))]


def best_ordinary(scores: Tensor) -> Tensor:
    """The ordinary type with the highest score, scores [..., V] → ids [...]; a special type is never an answer."""
    return scores[..., len(SPECIALS) :].argmax(-1) + len(SPECIALS)


def guess_middle(filler: GapFiller, tokenizer: Tokenizer, sentences: Sequence[str]) -> list[str]:
    """Each sentence with its middle type hidden and guessed."""
    ids = encode(tokenizer, sentences)
    gaps = [len(sentence) // 2 for sentence in ids]
    guesses = filler.fill(ids, gaps)
    return decode(
        tokenizer,
        [[*sentence[:gap], guess, *sentence[gap + 1 :]] for sentence, gap, guess in zip(ids, gaps, guesses, strict=True)],
    )
