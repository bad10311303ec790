"""Neural probabilistic language model (Bengio, Ducharme, Vincent & Jauvin 2003, "A Neural Probabilistic Language Model",
equation 1 and section 2).

    p(next type | last n types) = softmax(W2 tanh(W1 x + b1) + b2)

x is the concatenation of the n types, each as its row of Q (`embedding`) or as a one-hot vector (`one-hot`). A one-hot vector
times W1 is a column of W1, so W1 x is a sum of n columns, one for each place, and no one-hot vector is ever made. The network
of this form has no Q, and nothing to hand on: it shows what Q saves. With context n, width D, hidden H, vocabulary V:

    parameters of `embedding`   V·D + n·D·H + H + H·V + V
    parameters of `one-hot`           n·V·H + H + H·V + V

Left out: the paper's direct connections from x to the output (its W, which may be zero). Before its first type a sentence has
[START] as often as the context needs; its end is predicted as [END].

Shapes: B sentences · T predicted types · n context · D width · H hidden · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Run, Values, check
from translab.config.checking import PositiveInt
from translab.models.initialisation import Embedding, Linear, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.pretraining.gaps import batches, best_ordinary, in_order
from translab.pretraining.objective import Loss, Measure, Sentences, Side, Vocabularies
from translab.pretraining.vectors import OneSided, WordVectors, with_ends
from translab.text.batching import Batch
from translab.text.bpe import PAD, START


class Options(Values):
    """The model's values; D is model.width."""

    side: Side = Field(description="whose text is read")
    input: Literal["one-hot", "embedding"] = Field(description="what stands for a type of the context")
    context: PositiveInt = Field(description="types n from which the next is predicted")
    hidden: PositiveInt = Field(description="units H of the hidden layer")


class EmbeddingNetwork(WordVectors):
    """Q (`tokens`), W1 and b1 (`inner`), W2 and b2 (`output`)."""

    def __init__(self, options: Options, types: int, width: int, generator: torch.Generator) -> None:
        super().__init__(options.side, types, width)
        self.context = options.context
        self.inner = Linear(options.context * width, options.hidden)
        self.output = Linear(options.hidden, types)
        initialise(self, generator)

    def first_layer(self, history: Tensor) -> Tensor:
        """W1 x + b1 after each n types in a row, ids [B, n − 1 + T] → [B, T, H]."""
        vectors = self.tokens(history)  # [B, n - 1 + T, D]
        length = history.size(1) - self.context + 1
        x = torch.cat([vectors[:, place : place + length] for place in range(self.context)], -1)  # [B, T, n·D]
        hidden: Tensor = self.inner(x)
        return hidden


class OneHotNetwork(nn.Module):
    """W1 (`columns`: n blocks of V rows; row v of block k is the column of type v at place k), b1 (`bias`), W2 and b2."""

    def __init__(self, options: Options, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.context, self.types = options.context, types
        self.columns = Embedding(options.context * types, options.hidden)
        self.bias = nn.Parameter(torch.zeros(options.hidden))
        self.output = Linear(options.hidden, types)
        initialise(self, generator)

    def first_layer(self, history: Tensor) -> Tensor:
        """W1 x + b1 after each n types in a row, ids [B, n − 1 + T] → [B, T, H]."""
        contexts = history.unfold(1, self.context, 1)  # [B, T, n]
        rows = contexts + torch.arange(self.context, device=history.device) * self.types
        sums = functional.embedding_bag(rows.flatten(0, 1), self.columns.weight, mode="sum")  # [B·T, H]
        return sums.view(*contexts.shape[:2], -1) + self.bias


class NeuralLanguageModel(OneSided):
    """The network and its loss."""

    network: EmbeddingNetwork | OneHotNetwork

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        super().__init__(own.side, vocabularies)
        self.network = (
            EmbeddingNetwork(own, self.types, run.values.model.width, generator)
            if own.input == "embedding"
            else OneHotNetwork(own, self.types, generator)
        )

    def hidden(self, source: Tensor) -> Tensor:
        """The hidden layer before each type but the first, ids [B, S] that begin with [START] → [B, S − 1, H]."""
        start = source.new_full((source.size(0), self.network.context - 1), START)
        return self.network.first_layer(torch.cat([start, source[:, :-1]], 1)).tanh()

    def logits(self, source: Tensor) -> Tensor:
        """Of each type but the first, [B, S − 1, V]."""
        logits: Tensor = self.network.output(self.hidden(source))
        return logits

    def loss(self, batch: Batch) -> Loss:
        """Cross-entropy of each type, and of the end, given those before it."""
        right = batch.source[:, 1:]  # [B, T]
        real = right != PAD
        output = self.network.output
        objective, _ = smoothed_cross_entropy(self.hidden(batch.source)[real], output.weight, output.bias, right[real], 0.0)
        return Loss(objective, int(real.sum()))

    @torch.no_grad()
    def measure(self, batch: Batch) -> Measure:
        """Cross-entropy and accuracy of the next type."""
        right = batch.source[:, 1:]
        real = right != PAD
        logits, right = self.logits(batch.source)[real], right[real]  # [N, V], [N]
        loss = functional.cross_entropy(logits.float(), right, reduction="sum")
        return Measure(loss.item(), int((logits.argmax(-1) == right).sum()), len(right))

    @torch.no_grad()
    def log_probabilities(self, sentences: Sentences) -> list[float]:
        """ln p of each sentence and its end, nats."""
        found: dict[int, float] = {}
        for rows, source in batches(with_ends(sentences), self.network.output.weight.device):
            right = source[:, 1:]  # [B, T]
            every = self.logits(source).float().log_softmax(-1).gather(2, right[:, :, None])[:, :, 0]  # [B, T]
            found.update(zip(rows, (every.double() * (right != PAD)).sum(1).tolist(), strict=True))
        return in_order(found)

    @torch.no_grad()
    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The most probable ordinary type after what stands left of the gap."""
        guesses: dict[int, int] = {}
        for rows, source in batches(with_ends(sentences), self.network.output.weight.device):
            places = torch.tensor([gaps[row] for row in rows], device=source.device)
            hidden = self.hidden(source)[torch.arange(len(rows), device=source.device), places]  # [B, H]
            guesses.update(zip(rows, best_ordinary(self.network.output(hidden)).tolist(), strict=True))
        return in_order(guesses)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> NeuralLanguageModel:
    """A fresh language model; every initial value is drawn from `generator`."""
    return NeuralLanguageModel(run, vocabularies, generator)
