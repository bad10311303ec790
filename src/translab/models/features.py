"""ELMo's features: what a two-layer bidirectional language model over characters says of each type in its sentence, and an
embedding that adds them to its own vectors.

Peters, Neumann, Iyyer, Gardner, Clark, Lee & Zettlemoyer 2018, "Deep Contextualized Word Representations"
(https://arxiv.org/abs/1802.05365):

    section 3.1   x_k is made from the characters of type k; layer j of the forward language model gives →h_kj from x_1 … x_k,
                  layer j of the backward one ←h_kj from x_k … x_n; both have the same x
    equation 1    T_k = γ Σ_j s_j h_kj,  h_k0 = [x_k; x_k],  h_kj = [→h_kj; ←h_kj],  s = softmax(w)
    section 3.3   the receiving model reads [e_k; T_k] instead of its own vector e_k; here a linear layer brings it to width D
    section 3.4   characters: convolutions of several widths, maximum over positions, highway layer (Srivastava, Greff &
                  Schmidhuber 2015: y = t · relu(W x) + (1 − t) · x), projection; a residual connection between LSTM layers

Deviations: a type is a type of the vocabulary, a piece of a word as often as a word, because that is what the receiving model
reads; one highway layer instead of two, because the paper's 2,048 filters are some hundred here; the projection stands behind
each LSTM layer instead of within its recurrence (a third of the time on a CPU); no layer normalisation before the mix.

A type's spelling is its UTF-8 bytes between two marks, the character `▁` being a space; a special type is a character of its
own. So the characters are the same whatever the vocabulary, and only the table of spellings belongs to one.

Shapes: B sentences · S length with padding · V types of the vocabulary · U types that differ in a batch · C characters of the
longest type, marks and padding included · L layers · P width of one direction · D width of the receiving model.
"""

from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Model, Values
from translab.models import blocks, initialisation
from translab.models.initialisation import Linear
from translab.models.kernels import PADDING, dropout
from translab.text.bpe import END, SPECIALS, START

BYTES = 256
PADDED, OPENING, CLOSING, FIRST_BYTE = range(4)
FIRST_SPECIAL = FIRST_BYTE + BYTES
CHARACTERS = FIRST_SPECIAL + len(SPECIALS)
"""Size of the table of characters: padding, the two marks, every byte, every special type."""

Size = Annotated[int, Field(ge=1)]


class FeatureValues(Values):
    """Sizes of the bidirectional language model."""

    character_width: Size = Field(description="width of a character's vector")
    windows: Annotated[list[Size], Field(min_length=1)] = Field(description="widths of the convolutions, characters")
    filters: Size = Field(description="filters of each convolution")
    layers: Size = Field(description="LSTM layers of each direction; the paper has 2")
    cells: Size = Field(description="memory cells of an LSTM layer")
    width: Size = Field(description="width P of one direction: of the character vectors and of each layer's output")


def spellings(tokenizer: Tokenizer, values: FeatureValues) -> Tensor:
    """The characters of each type, [V, C], with so much padding that a window of each width can begin at every character."""
    rows = []
    for token in range(tokenizer.get_vocab_size()):
        if token < len(SPECIALS):
            characters = [FIRST_SPECIAL + token]
        else:
            characters = [FIRST_BYTE + byte for byte in str(tokenizer.id_to_token(token)).replace("▁", " ").encode()]
        rows.append([OPENING, *characters, CLOSING])
    table = torch.full((len(rows), max(map(len, rows)) + max(values.windows) - 1), PADDED)
    for token, row in enumerate(rows):
        table[token, : len(row)] = torch.tensor(row)
    return table


class CharacterNetwork(nn.Module):
    """Spelling → vector: convolutions, maximum over positions, highway layer, projection."""

    def __init__(self, values: FeatureValues) -> None:
        super().__init__()
        self.windows = values.windows
        channels = values.filters * len(values.windows)
        self.characters = initialisation.Embedding(CHARACTERS, values.character_width, padding_idx=PADDED)
        self.filters = nn.ModuleList(Linear(window * values.character_width, values.filters) for window in values.windows)
        self.highway = Linear(channels, channels)
        self.gate = Linear(channels, channels)
        self.projection = Linear(channels, values.width)

    def forward(self, spelling: Tensor) -> Tensor:
        """[U, C] → [U, P]; padding behind a type does not count."""
        vectors = self.characters(spelling)  # [U, C, E]
        found = []
        for window, filters in zip(self.windows, self.filters, strict=True):
            places = vectors.unfold(1, window, 1).transpose(2, 3).flatten(2)  # [U, C - window + 1, window · E]
            beyond = spelling[:, : places.size(1), None] == PADDED
            found.append(filters(places).masked_fill(beyond, -torch.inf).amax(1))
        x = torch.relu(torch.cat(found, -1))  # [U, channels]
        projected: Tensor = self.projection(blocks.highway(x, torch.relu(self.highway(x)), self.gate(x)))
        return projected


class LSTM(nn.LSTM):
    """One layer of Hochreiter & Schmidhuber 1997's memory cells with forget gates; its making draws nothing."""

    def reset_parameters(self) -> None:
        """Leave the values open."""

    def initialise(self, generator: torch.Generator) -> None:
        """Xavier uniform for each gate's matrices; biases zero, but 1 for the forget gate, which so begins open."""
        for name, parameter in self.named_parameters():
            if name.startswith("weight"):
                for gate in parameter.chunk(4):
                    nn.init.xavier_uniform_(gate, generator=generator)
            else:
                nn.init.zeros_(parameter)
        nn.init.ones_(cast(Tensor, self.bias_ih_l0)[self.hidden_size : 2 * self.hidden_size])


class Direction(nn.Module):
    """The LSTM layers that read in one direction; from the second on with a residual connection."""

    def __init__(self, values: FeatureValues, rate: float) -> None:
        super().__init__()
        self.dropout = rate
        self.layers = nn.ModuleList(LSTM(values.width, values.cells, batch_first=True) for _ in range(values.layers))
        self.projections = nn.ModuleList(Linear(values.cells, values.width) for _ in range(values.layers))

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, S, P] → the output of each layer, [B, S, P]."""
        outputs: list[Tensor] = []
        for layer, projection in zip(self.layers, self.projections, strict=True):
            h = projection(layer(dropout(x, self.dropout, self.training))[0])
            x = x + h if outputs else h
            outputs.append(x)
        return outputs


class ContextualFeatures(nn.Module):
    """The bidirectional language model up to its last layer; what is above it belongs to the pretraining alone.

    Args:
        values: sizes.
        spelling: characters of each type, [V, C]; a buffer that is saved with the rest.
        rate: dropout on what enters an LSTM layer.
    """

    spelling: Tensor

    def __init__(self, values: FeatureValues, spelling: Tensor, rate: float) -> None:
        super().__init__()
        self.width = values.width
        self.register_buffer("spelling", spelling)
        self.characters = CharacterNetwork(values)
        self.rightward = Direction(values, rate)
        self.leftward = Direction(values, rate)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Ids between [START] and [END], padded, [B, S] → layers 0 … L, each [B, S, 2P]: rightward half, leftward half."""
        types, places = torch.unique(tokens, return_inverse=True)  # [U], [B, S]
        x = functional.embedding(places, self.characters(self.spelling[types]))  # [B, S, P]
        mirror = mirrored(tokens)[..., None].expand_as(x)
        rightward = self.rightward(x)
        leftward = [layer.gather(1, mirror) for layer in self.leftward(x.gather(1, mirror))]
        return [torch.cat(pair, -1) for pair in zip([x, *rightward], [x, *leftward], strict=True)]


def mirrored(tokens: Tensor) -> Tensor:
    """Where each position's mirror image is within its own sentence, [B, S]; padding stays where it is."""
    places = torch.arange(tokens.size(1), device=tokens.device).expand_as(tokens)
    real = tokens != PADDING
    return torch.where(real, real.sum(1, keepdim=True) - 1 - places, places)


def framed(tokens: Tensor) -> Tensor:
    """Source ids as a translation model reads them, [B, S], as the language model was trained: between [START] and [END]
    (which may be there already), [B, S + 2]; what stood at position k stands at k + 1.
    """
    lengths = (tokens != PADDING).sum(1, keepdim=True)  # [B, 1]
    ends = tokens.gather(1, (lengths - 1).clamp(min=0)) == END
    wide = functional.pad(functional.pad(tokens, (1, 0), value=START), (0, 1), value=PADDING)
    return wide.scatter(1, lengths + ~ends, END)


class FeatureEmbedding(blocks.Embedding):
    """Token ids → vectors, with features: [e; T] through a linear layer, plus positions, under dropout.

    Args:
        values: the receiving model's section of params.yaml.
        features: sizes of the language model, as its donor has them.
        spelling: characters of each type, [V, C].
    """

    def __init__(self, values: Model, features: FeatureValues, spelling: Tensor) -> None:
        super().__init__(values, len(spelling))
        self.features = ContextualFeatures(features, spelling, values.dropout)
        self.mix = nn.Parameter(torch.zeros(features.layers + 1))  # w, of which s is the softmax
        self.strength = nn.Parameter(torch.ones(1))  # γ
        self.projection = Linear(values.width + 2 * features.width, values.width)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """tokens [B, S], the first of which stands at position `start` → [B, S, D]."""
        layers = torch.stack(self.features(framed(tokens)), -1)[:, 1:-1]  # [B, S, 2P, L + 1]
        mixed = self.strength * (layers @ self.mix.softmax(0))  # [B, S, 2P]
        x = self.projection(torch.cat((self.tokens(tokens) * self.scale, mixed), -1))
        return dropout(self.positions(x, start), self.dropout, self.training)
