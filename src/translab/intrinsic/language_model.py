"""How well a language model foresees text.

    perplexity = exp(−Σ ln p(sentence) / types)            the end of each sentence is one of the types
    bits per character = −Σ ln p(sentence) / (ln 2 · characters)

Perplexity depends on how the vocabulary cuts the text; bits per character do not, and compare models of different vocabularies
(Mielke 2019, "Can you compare perplexity across different segmentations?"). The characters are those of the types' text, spaces
included: what a vocabulary only knows as [UNK] adds no character, so that not knowing a character gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer

from translab.intrinsic.vectors import batches
from translab.pretraining.objective import LanguageModel
from translab.text.bpe import decode

LARGEST = 700.0
"""exp of a larger exponent is no number of 64 bits."""


@torch.no_grad()
def foresight(model: LanguageModel, tokenizer: Tokenizer, sentences: Sequence[list[int]]) -> dict[str, Any]:
    """Perplexity and bits per character of a model on sentences, given by their types without specials."""
    nats = -math.fsum(
        value for rows in batches(sentences) for value in model.log_probabilities([sentences[row] for row in rows])
    )
    types = sum(len(sentence) + 1 for sentence in sentences)
    characters = sum(len(text) for text in decode(tokenizer, sentences))
    return {
        "perplexity": math.exp(min(nats / types, LARGEST)),
        "bits_per_character": nats / (math.log(2) * characters),
        "types": types,
        "characters": characters,
    }
