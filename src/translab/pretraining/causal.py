"""Causal language model on the target side: GPT (Radford, Narasimhan, Salimans & Sutskever 2018, "Improving Language
Understanding by Generative Pre-Training", section 3.1).

    equation 1   L = Σ_i log P(u_i | u_1 … u_{i-1})
    equation 2   h_0 = embeddings + positions,  h_l = layer(h_{l-1}),  P(u) = softmax(h_n W + b)

A sentence is [START] x [END], as in the translation model's decoder; each type but the first is predicted from those before it.
The layers are the decoder's without cross-attention, as many as the decoder has, and are named as the decoder's, so that they
can be handed on.

Deviations: the activation is the ReLU of the translation model and its positions are that model's, because these layers are to
become its decoder; a context is one sentence, not 512 types of running text; the output projection is not tied to the
embedding, as everywhere in this project; no label smoothing, so that training and perplexity share one loss.

Shapes: B sentences · T length, [START] and [END] included · D width · N predicted types · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Model, Run, Values, check
from translab.models.attention import causal_mask
from translab.models.blocks import Embedding, EncoderLayer
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.pretraining.gaps import batches, best_ordinary, guess_middle, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import END, PAD, START, encode


class Options(Values):
    """The method has no values of its own."""


class CausalDecoder(nn.Module):
    """A decoder that has nothing to translate: self-attention to what came before, and feed-forward."""

    causal: Tensor

    def __init__(self, model: Model, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = Embedding(model, types)
        self.layers = nn.ModuleList(EncoderLayer(model) for _ in range(model.decoder_layers))
        self.norm = nn.LayerNorm(model.width)
        self.register_buffer("causal", causal_mask(model.maximum_length), persistent=False)
        initialise(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, T] that begin with [START], padding at the end → hidden states [B, T, D]."""
        length = tokens.size(1)
        x = self.embedding(tokens)
        for layer in self.layers:
            x, _ = layer(x, self.causal[:length, :length])
        hidden: Tensor = self.norm(x)
        return hidden


class CausalLanguageModel(nn.Module):
    """The decoder and the projection to the vocabulary."""

    def __init__(self, model: Model, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.decoder = CausalDecoder(model, types, generator)
        self.output = Linear(model.width, types)
        initialise(self.output, generator)


class Causal(Objective):
    """The causal language model and its loss."""

    network: CausalLanguageModel
    side: Side = "target"

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        self.tokenizer = vocabularies.target
        self.network = CausalLanguageModel(run.values.model, self.tokenizer.get_vocab_size(), generator)

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the target side between [START] and [END]; the source side is not used."""
        sentences = [[START, *ids, END] for ids in encode(self.tokenizer, targets)]
        return Examples(sentences, sentences)

    def _predicted(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What each type is predicted from, [N, D], and the types, [N]."""
        right = tokens[:, 1:]  # [B, T - 1]
        real = right != PAD
        return self.network.decoder(tokens[:, :-1])[real], right[real]

    def loss(self, batch: Batch) -> Loss:
        """Cross-entropy of each type given those before it."""
        hidden, right = self._predicted(batch.target)
        output = self.network.output
        objective, _ = smoothed_cross_entropy(hidden, output.weight, output.bias, right, 0.0)
        return Loss(objective, len(right))

    def measure(self, batch: Batch) -> Measure:
        """The same, and accuracy."""
        hidden, right = self._predicted(batch.target)
        logits = self.network.output(hidden)  # [N, V]
        loss = functional.cross_entropy(logits.float(), right, reduction="sum")
        return Measure(loss.item(), int((logits.argmax(-1) == right).sum()), len(right))

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Each target with its middle type hidden and guessed from what stands before it."""
        return guess_middle(self, self.tokenizer, targets)

    @torch.no_grad()
    def log_probabilities(self, sentences: Sentences) -> list[float]:
        """ln p of each sentence, its end included, nats."""
        results: dict[int, float] = {}
        framed = [[START, *ids, END] for ids in sentences]
        for rows, tokens in batches(framed, self.network.output.weight.device):
            right = tokens[:, 1:]  # [B, T - 1]
            logits = self.network.output(self.network.decoder(tokens[:, :-1])).float()  # [B, T - 1, V]
            loss = functional.cross_entropy(logits.transpose(1, 2), right, reduction="none", ignore_index=PAD)
            results |= zip(rows, (-loss.double().sum(1)).tolist(), strict=True)
        return in_order(results)

    @torch.no_grad()
    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The most probable ordinary type after what stands before the gap; what stands behind it is not seen."""
        guesses: dict[int, int] = {}
        before = [[START, *ids[:gap]] for ids, gap in zip(sentences, gaps, strict=True)]
        for rows, tokens in batches(before, self.network.output.weight.device):
            places = torch.tensor([gaps[row] for row in rows], device=tokens.device)
            states = self.network.decoder(tokens)[torch.arange(len(rows), device=places.device), places]  # [B, D]
            guesses |= zip(rows, best_ordinary(self.network.output(states)).tolist(), strict=True)
        return in_order(guesses)

    def states(self, sentences: Sentences) -> list[Tensor]:
        """The decoder's final state of each type, which has read the type and those before it, [S, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, tokens in batches([[START, *ids] for ids in sentences], self.network.output.weight.device):
            for row, state in zip(rows, self.network.decoder(tokens), strict=True):
                vectors[row] = state[1 : 1 + len(sentences[row])]
        return in_order(vectors)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Causal:
    """A fresh causal language model; every initial value is drawn from `generator`."""
    return Causal(run, vocabularies, generator)
