"""The encoder–decoder Transformer, the base of every comparison.

Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762). Deviations: a final normalisation on encoder and decoder for both
placements (as in PyTorch's own model, whose logits these are for equal weights), source embedding, target embedding and output
projection are three separate matrices, and the output projection has a bias.

[PAD] is masked in the source. In the target it must stand at the end of a sentence, where the causal mask hides it.

`causal: false` leaves this mask out (and hides the target's padding itself): in training each state sees the whole target, the
word that it should predict included, and in generation, which recomputes all states for each new word, all that was written so
far. It shows why the decoder of section 3.1 is masked.

Shapes: B batch · S source length · T target length · D width · H heads · V vocabulary · R rows that are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from translab import config
from translab.models.attention import causal_mask, padding_mask
from translab.models.blocks import DecoderLayer, Embedding, EncoderLayer, LayerCache
from translab.models.initialisation import Linear, initialise
from translab.models.translator import Prefix, Remembered, Translator


class Encoder(nn.Module):
    """Reads a sentence in both directions; also a model of its own (masked language model).

    Args:
        values: the model's section of params.yaml.
        types: size of the vocabulary.
        generator: of the first values; one number is drawn from it.
    """

    def __init__(self, values: config.Model, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = values.heads
        self.embedding = Embedding(values, types)
        self.layers = nn.ModuleList(EncoderLayer(values) for _ in range(values.encoder_layers))
        self.norm = nn.LayerNorm(values.width)
        initialise(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, S] → hidden states [B, S, D]."""
        return self.with_attention(tokens)[0]

    def with_attention(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, and the attention weights of each layer, [B, H, S, S]."""
        mask = padding_mask(tokens, self.heads)
        x = self.embedding(tokens)
        maps = []
        for layer in self.layers:
            x, weights = layer(x, mask)
            maps.append(weights.view(-1, self.heads, *weights.shape[1:]))
        return self.norm(x), maps


@dataclass
class Cache:
    """What a decoder remembers between two steps, for B sentences with R / B rows each."""

    length: int
    mask: Tensor | None  # [B, H, 1, S]
    layers: list[LayerCache]

    def select(self, sentences: Tensor, rows: Tensor) -> None:
        """Keep only these sentences and these rows, in this order; their ratio must stay what it was."""
        self.select_rows(rows)
        if self.mask is not None:
            self.mask = self.mask[sentences]
        for layer in self.layers:
            layer.memory_keys, layer.memory_values = layer.memory_keys[sentences], layer.memory_values[sentences]

    def select_rows(self, rows: Tensor) -> None:
        """Replace row r by row `rows[r]`, which must belong to the same sentence."""
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]


class Decoder(nn.Module):
    """Writes a sentence from left to right while looking at the encoder's output.

    Args: as for `Encoder`.
    """

    causal: Tensor | None
    """What hides later words, [M, M] for the maximum length; nothing in a decoder that sees them."""

    def __init__(self, values: config.Model, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = values.heads
        self.embedding = Embedding(values, types)
        self.layers = nn.ModuleList(DecoderLayer(values) for _ in range(values.decoder_layers))
        self.norm = nn.LayerNorm(values.width)
        self.register_buffer("causal", causal_mask(values.maximum_length) if values.causal else None, persistent=False)
        initialise(self, generator)

    def forward(self, tokens: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T], the encoder's output [B, S, D], the source's ids [B, S] → hidden states [B, T, D]."""
        return self.with_attention(tokens, memory, source)[0]

    def with_attention(self, tokens: Tensor, memory: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, and the cross-attention weights of each layer, [B, H, T, S]."""
        mask = padding_mask(source, self.heads)
        length = tokens.size(1)
        hidden = padding_mask(tokens, self.heads) if self.causal is None else self.causal[:length, :length]
        x = self.embedding(tokens)
        maps = []
        for layer in self.layers:
            x, weights = layer(x, memory, hidden, mask)
            maps.append(weights.view(-1, self.heads, *weights.shape[1:]))
        return self.norm(x), maps

    def start(self, memory: Tensor, source: Tensor, rows: int) -> Cache:
        """An empty cache for decoding `rows` hypotheses of each sentence; row r belongs to sentence r // rows."""
        mask = padding_mask(source, self.heads)
        layers = [layer.start(memory, rows * memory.size(0)) for layer in cast(list[DecoderLayer], self.layers)]
        return Cache(0, None if mask is None else mask.view(-1, self.heads, *mask.shape[1:]), layers)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """One more token of each row, ids [R] → hidden states [R, D]; the cache grows by it."""
        x = self.embedding(tokens[:, None], cache.length)
        mask = None if cache.mask is None else cache.mask.flatten(0, 1)
        for layer, remembered in zip(cast(list[DecoderLayer], self.layers), cache.layers, strict=True):
            x = layer.step(x, remembered, mask)
        cache.length += 1
        hidden: Tensor = self.norm(x)[:, 0]
        return hidden


class Transformer(Translator):
    """Encoder, decoder and the projection to the target vocabulary.

    Args:
        values: the model's section of params.yaml.
        source_types, target_types: sizes of the vocabularies.
        generator: of the first values; each of the three parts draws one number from it.
    """

    encoder: Encoder
    decoder: Decoder
    reads_backwards = False

    def __init__(self, values: config.Model, source_types: int, target_types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.maximum_length = values.maximum_length
        self.encoder = Encoder(values, source_types, generator)
        self.decoder = Decoder(values, target_types, generator)
        self.output = Linear(values.width, target_types)
        initialise(self.output, generator)

    def encode(self, source: Tensor) -> Tensor:
        """Ids [B, S] → memory [B, S, D]."""
        memory: Tensor = self.encoder(source)
        return memory

    def decode(self, target: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """Ids [B, T] that begin with [START], memory [B, S, D], source ids [B, S] → hidden states [B, T, D]."""
        hidden: Tensor = self.decoder(target, memory, source)
        return hidden

    def start(self, memory: Tensor, source: Tensor, rows: int) -> Remembered:
        """An empty cache for decoding `rows` hypotheses of each sentence; row r belongs to sentence r // rows.

        It holds keys and values, which no later word changes, unless the decoder is not causal.
        """
        if self.decoder.causal is None:
            return super().start(memory, source, rows)
        return self.decoder.start(memory, source, rows)

    def step(self, tokens: Tensor, cache: Cache | Prefix) -> Tensor:
        """One more token of each row, ids [R] → hidden states [R, D]; the cache grows by it."""
        return super().step(tokens, cache) if isinstance(cache, Prefix) else self.decoder.step(tokens, cache)

    def encoder_attention(self, source: Tensor) -> list[Tensor]:
        """How much each source token looks at each source token, for each layer [B, H, S, S]; rows sum to 1."""
        return self.encoder.with_attention(source)[1]

    def cross_attention(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """How much each target token looks at each source token, for each layer [B, H, T, S]; rows sum to 1."""
        return self.decoder.with_attention(target, self.encode(source), source)[1]
