"""Bidirectional language model on the source side: ELMo (Peters et al. 2018, "Deep Contextualized Word Representations",
section 3.1). The network up to its last layer is models/features.py, which says what deviates there.

    Σ_k ( log p(t_k | t_1 … t_{k-1}; Θ_x, →Θ, Θ_s) + log p(t_k | t_{k+1} … t_n; Θ_x, ←Θ, Θ_s) )

A sentence is [START] x [END]; the forward direction predicts each type but the first, the backward one each but the last. Both
share the character network Θ_x and the softmax Θ_s. What is handed on is everything but the softmax; the weights s and γ of the
layers belong to the receiving model.

Deviations: a full softmax instead of a sampled one; a context is one sentence, not running text; no label smoothing. Left out:
given word vectors, such as those of cbow, in place of characters.

Shapes: B sentences · S length, [START] and [END] included · P width of one direction · N predicted types · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Run, Values, check
from translab.models.features import ContextualFeatures, FeatureValues, spellings
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.pretraining.gaps import batches, best_ordinary, guess_middle, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import END, PAD, START, encode


class Options(Values):
    """The method's own values."""

    features: FeatureValues


class BidirectionalLanguageModel(nn.Module):
    """The features, named as in a translation model that has them, and the softmax that both directions share."""

    def __init__(self, features: ContextualFeatures, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"embedding": nn.ModuleDict({"features": features})})
        self.output = Linear(features.width, types)
        initialise(self, generator)

    def layers(self, tokens: Tensor) -> list[Tensor]:
        """Ids between [START] and [END], [B, S] → layers 0 … L, each [B, S, 2P]."""
        embedding = cast(nn.ModuleDict, self.encoder["embedding"])
        layers: list[Tensor] = embedding["features"](tokens)
        return layers

    def last(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer's two halves, [B, S, P] each: what has read up to each type, and what has read from it on."""
        rightward, leftward = self.layers(tokens)[-1].chunk(2, -1)
        return rightward, leftward


class Elmo(Objective):
    """The bidirectional language model and its loss."""

    network: BidirectionalLanguageModel
    side: Side = "source"

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        values = check(Options, run.values.method, f"params.yaml: methods.{run.name}").features
        self.tokenizer = vocabularies.source
        features = ContextualFeatures(values, spellings(self.tokenizer, values), run.values.model.dropout)
        self.network = BidirectionalLanguageModel(features, self.tokenizer.get_vocab_size(), generator)

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the source side between [START] and [END]; the target side is not used."""
        sentences = between_ends(encode(self.tokenizer, sources))
        return Examples(sentences, sentences)

    def _predicted(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What each type is predicted from, [N, P], and the types, [N]: first all of one direction, then all of the other."""
        rightward, leftward = self.network.last(tokens)
        real = tokens[:, 1:] != PAD  # [B, S - 1]
        hidden = torch.cat((rightward[:, :-1][real], leftward[:, 1:][real]))
        return hidden, torch.cat((tokens[:, 1:][real], tokens[:, :-1][real]))

    def loss(self, batch: Batch) -> Loss:
        """Cross-entropy of both directions."""
        hidden, right = self._predicted(batch.source)
        output = self.network.output
        objective, _ = smoothed_cross_entropy(hidden, output.weight, output.bias, right, 0.0)
        return Loss(objective, len(right))

    def measure(self, batch: Batch) -> Measure:
        """The same, and the accuracy of both directions."""
        hidden, right = self._predicted(batch.source)
        logits = self.network.output(hidden)  # [N, V]
        loss = functional.cross_entropy(logits.float(), right, reduction="sum")
        return Measure(loss.item(), int((logits.argmax(-1) == right).sum()), len(right))

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Each source with its middle type hidden and guessed from both sides."""
        return guess_middle(self, self.tokenizer, sources)

    @torch.no_grad()
    def log_probabilities(self, sentences: Sentences) -> list[float]:
        """ln p of each sentence by the forward direction, its end included, nats."""
        results: dict[int, float] = {}
        for rows, tokens in batches(between_ends(sentences), self.network.output.weight.device):
            logits = self.network.output(self.network.last(tokens)[0][:, :-1]).float()  # [B, S - 1, V]
            loss = functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none", ignore_index=PAD)
            results |= zip(rows, (-loss.double().sum(1)).tolist(), strict=True)
        return in_order(results)

    @torch.no_grad()
    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The ordinary type with the highest product of both directions' probabilities at each gap."""
        guesses: dict[int, int] = {}
        for rows, tokens in batches(between_ends(sentences), self.network.output.weight.device):
            rightward, leftward = self.network.last(tokens)
            before = torch.tensor([gaps[row] for row in rows], device=tokens.device)  # the gap itself is one further
            each = torch.arange(len(rows), device=tokens.device)
            sides = (rightward[each, before], leftward[each, before + 2])  # [B, P] each
            scores = sum(self.network.output(side).log_softmax(-1) for side in sides)
            guesses |= zip(rows, best_ordinary(cast(Tensor, scores)).tolist(), strict=True)
        return in_order(guesses)

    def states(self, sentences: Sentences) -> list[Tensor]:
        """The last layer's vector of each type, both directions, [S, 2P]: the layer that tells senses best (section 5.3)."""
        vectors: dict[int, Tensor] = {}
        for rows, tokens in batches(between_ends(sentences), self.network.output.weight.device):
            for row, state in zip(rows, self.network.layers(tokens)[-1], strict=True):
                vectors[row] = state[1 : 1 + len(sentences[row])]
        return in_order(vectors)


def between_ends(sentences: Sentences) -> list[list[int]]:
    """Sentences as the network reads them: [START] x [END]."""
    return [[START, *ids, END] for ids in sentences]


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Elmo:
    """A fresh bidirectional language model; every initial value is drawn from `generator`."""
    return Elmo(run, vocabularies, generator)
