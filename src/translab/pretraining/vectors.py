"""What the methods with one vector for each type share: a table with the name of the Transformer's own, and their text.

A sentence is read with its ends, [START] x [END], as types like others: so the vectors of the ends, which a translation model
needs, are learned with the rest; but nnlm only predicts [END], and hands on its first value.

Shapes: D width · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tokenizers import Tokenizer
from torch import nn

from translab.models.initialisation import Embedding
from translab.models.kernels import PADDING
from translab.pretraining.gaps import guess_middle
from translab.pretraining.objective import GapFiller, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Examples
from translab.text.bpe import END, START, encode

PARTS = {"source": "encoder", "target": "decoder"}
"""The part of the Transformer that reads a side."""


class WordVectors(nn.Module):
    """A network whose table of vectors is called `encoder.embedding.tokens`, or `decoder.embedding.tokens` (target side)."""

    def __init__(self, side: Side, types: int, width: int) -> None:
        super().__init__()
        self.part = PARTS[side]
        table = Embedding(types, width, padding_idx=PADDING)
        self.add_module(self.part, nn.ModuleDict({"embedding": nn.ModuleDict({"tokens": table})}))

    @property
    def tokens(self) -> Embedding:
        """The table; the row of [PAD] is zero."""
        return cast(Embedding, self.get_submodule(f"{self.part}.embedding.tokens"))


class OneSided(Objective):
    """An objective that reads the sentences of one side."""

    def __init__(self, side: Side, vocabularies: Vocabularies) -> None:
        self.side: Side = side
        self.tokenizer: Tokenizer = getattr(vocabularies, side)
        self.types = self.tokenizer.get_vocab_size()

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the side between [START] and [END]; the other side is not used."""
        sentences = with_ends(encode(self.tokenizer, sources if self.side == "source" else targets))
        return Examples(sentences, sentences)

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Each sentence with its middle type hidden and guessed."""
        return guess_middle(cast(GapFiller, self), self.tokenizer, sources if self.side == "source" else targets)


def with_ends(sentences: Sentences) -> list[list[int]]:
    """Each sentence between [START] and [END]."""
    return [[START, *ids, END] for ids in sentences]
