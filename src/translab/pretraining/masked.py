"""Masked language model on the source side: BERT's cloze task (Devlin, Chang, Lee & Toutanova 2019, "BERT: Pre-training of Deep
Bidirectional Transformers", section 3.1, task 1).

A sentence is x [END] [CLS]: as the translation model reads it (with [START], without [END] where `batch.source_start` and
`batch.source_end` say so), and [CLS] behind it. A share of its types (`rate`, 15 % in the paper) is to be predicted; of these
80 % are shown as [MASK], 10 % as a random type and 10 % as they are. Specials are never chosen. The network predicts each
chosen type from the final states of the encoder through a dense layer, GELU and layer normalisation (the paper's output head).

Deviations: the paper has [CLS] x [SEP]; but the layers are to read x [END] in a translation model, so they learn what [END] is,
and each type stands where it will stand there. Next-sentence prediction (section 3.1, task 2), and with it input of two
sentences, is left out, pairs of dialogue turns as well: the sentences of a parallel corpus stand alone. So nothing trains [CLS]
but the cloze task of the others. The number of chosen types is ⌈rate · n⌉ of the n types of each sentence instead of a coin for
each, so that short sentences are never without a gap; the output projection is not tied to the embedding, as everywhere in this
project.

Shapes: B sentences · S length, [END] and [CLS] included · D width · N chosen types · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Model, Run, Values, check
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.models.transformer import Encoder
from translab.pretraining.gaps import batches, best_ordinary, guess_middle, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import CLS, END, MASK, PAD, SPECIALS, START, encode

SHOWN_AS_MASK = 0.8
SHOWN_AS_RANDOM = 0.1


class Options(Values):
    """The method's own values."""

    rate: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of each sentence's types to be predicted")


class MaskedLanguageModel(nn.Module):
    """The Transformer's encoder and BERT's output head."""

    def __init__(self, model: Model, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = Encoder(model, types, generator)
        self.dense = Linear(model.width, model.width)
        self.norm = nn.LayerNorm(model.width)
        self.output = Linear(model.width, types)
        for linear in (self.dense, self.output):
            initialise(linear, generator)

    def hidden(self, source: Tensor) -> Tensor:
        """States from which types are predicted, [B, S, D]."""
        states: Tensor = self.encoder(source)  # [B, S, D]
        hidden: Tensor = self.norm(functional.gelu(self.dense(states)))
        return hidden


def mask(source: Tensor, rate: float, types: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Hide some types of each sentence.

    Args:
        source: ids, [B, S].
        rate: share of each sentence's ordinary types to be predicted.
        types: size V of the vocabulary.
        generator: source of randomness; None is PyTorch's own.

    Returns:
        the ids to show, [B, S], and which of them are to be predicted, [B, S] of bool.
    """
    ordinary = source >= len(SPECIALS)
    wanted = torch.ceil(ordinary.sum(1, keepdim=True) * rate)  # [B, 1]

    def uniform() -> Tensor:
        return torch.rand(source.shape, generator=generator, device=source.device)

    rank = uniform().masked_fill(~ordinary, 2.0).argsort(1).argsort(1)  # [B, S]; ordinary types come first
    chosen = (rank < wanted) & ordinary
    treatment = uniform()
    random = torch.randint(len(SPECIALS), types, source.shape, generator=generator, device=source.device)
    shown = torch.where(chosen & (treatment < SHOWN_AS_MASK), MASK, source)
    as_random = chosen & (treatment >= SHOWN_AS_MASK) & (treatment < SHOWN_AS_MASK + SHOWN_AS_RANDOM)
    return torch.where(as_random, random, shown), chosen


class Masked(Objective):
    """The masked language model and its loss."""

    network: MaskedLanguageModel
    side: Side = "source"

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        self.tokenizer = vocabularies.source
        self.types = vocabularies.source.get_vocab_size()
        self.rate = check(Options, run.values.method, f"params.yaml: methods.{run.name}").rate
        self.start = [START] if run.values.batch.source_start else []
        self.ends = [END, CLS] if run.values.batch.source_end else [CLS]
        self.smoothing = run.values.optimisation.label_smoothing
        self.network = MaskedLanguageModel(run.values.model, self.types, generator)

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the source side with their ends; the target side is not used."""
        del targets
        sentences = self._with_ends(encode(self.tokenizer, sources))
        return Examples(sentences, sentences)

    def loss(self, batch: Batch) -> Loss:
        """Smoothed cross-entropy of the hidden types."""
        shown, chosen = mask(batch.source, self.rate, self.types, None)
        output = self.network.output
        hidden = self.network.hidden(shown)[chosen]  # [N, D]
        right = batch.source[chosen]  # [N]
        objective, _ = smoothed_cross_entropy(hidden, output.weight, output.bias, right, self.smoothing)
        return Loss(objective, len(right))

    def measure(self, batch: Batch) -> Measure:
        """Cloze loss and accuracy; the same types are hidden at every call."""
        generator = torch.Generator(batch.source.device).manual_seed(0)
        shown, chosen = mask(batch.source, self.rate, self.types, generator)
        logits = self.network.output(self.network.hidden(shown)[chosen])  # [N, V]
        right = batch.source[chosen]  # [N]
        loss = functional.cross_entropy(logits.float(), right, reduction="sum")
        return Measure(loss.item(), int((logits.argmax(-1) == right).sum()), len(right))

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Each source with its middle type hidden and guessed."""
        return guess_middle(self, self.tokenizer, sources)

    @torch.no_grad()
    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The most probable ordinary type at each gap, which is shown as [MASK]."""
        guesses: dict[int, int] = {}
        hidden = [[*ids[:gap], MASK, *ids[gap + 1 :]] for ids, gap in zip(sentences, gaps, strict=True)]
        for rows, shown in batches(self._with_ends(hidden), self.network.output.weight.device):
            places = torch.tensor([len(self.start) + gaps[row] for row in rows], device=shown.device)
            states = self.network.hidden(shown)[torch.arange(len(rows), device=places.device), places]  # [B, D]
            guesses |= zip(rows, best_ordinary(self.network.output(states)).tolist(), strict=True)
        return in_order(guesses)

    def states(self, sentences: Sentences) -> list[Tensor]:
        """The encoder's final state of each type, [S, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, shown in batches(self._with_ends(sentences), self.network.output.weight.device):
            for row, state in zip(rows, self.network.encoder(shown), strict=True):
                vectors[row] = state[len(self.start) :][: len(sentences[row])]
        return in_order(vectors)

    def summaries(self, sentences: Sentences) -> Tensor:
        """The encoder's final state of [CLS], [N, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, shown in batches(self._with_ends(sentences), self.network.output.weight.device):
            ends = (shown != PAD).sum(1) - 1  # [B]
            states = self.network.encoder(shown)[torch.arange(len(rows), device=shown.device), ends]  # [B, D]
            vectors |= zip(rows, states, strict=True)
        return torch.stack(in_order(vectors))

    def _with_ends(self, sentences: Sentences) -> list[list[int]]:
        """Sentences as the network reads them."""
        return [[*self.start, *ids, *self.ends] for ids in sentences]


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Masked:
    """A fresh masked language model; every initial value is drawn from `generator`."""
    return Masked(run, vocabularies, generator)
