"""Masked language model on the source side: BERT's cloze task (Devlin, Chang, Lee & Toutanova 2019, "BERT: Pre-training of Deep
Bidirectional Transformers", section 3.1, task 1).

A sentence is [CLS] x [SEP]. A share of its types (`rate`, 15 % in the paper) is to be predicted; of these 80 % are shown as
[MASK], 10 % as a random type and 10 % as they are. Specials are never chosen. The network predicts each chosen type from the
final states of the encoder through a dense layer, GELU and layer normalisation (the paper's output head).

Deviations: next-sentence prediction is left out (sentences of a parallel corpus have no neighbours); the number of chosen types
is ⌈rate · n⌉ of the n types of each sentence instead of a coin for each, so that short sentences are never without a gap; the
output projection is not tied to the embedding, as everywhere in this project.

Shapes: B sentences · S length · D width · N chosen types · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from translab.config import MaskedMethod, Model, Run, check
from translab.models.initialisation import Linear, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.models.transformer import Encoder
from translab.pretraining.objective import Loss, Measure, Objective, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import CLS, MASK, SEP, SPECIALS, decode, encode

SHOWN_AS_MASK = 0.8
SHOWN_AS_RANDOM = 0.1


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

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        self.tokenizer = vocabularies.source
        self.types = vocabularies.source.get_vocab_size()
        self.rate = check(MaskedMethod, run.values.method, "params.yaml: methods.masked").rate
        self.smoothing = run.values.optimisation.label_smoothing
        self.network = MaskedLanguageModel(run.values.model, self.types, generator)

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the source side between [CLS] and [SEP]; the target side is not used."""
        del targets
        sentences = [[CLS, *ids, SEP] for ids in encode(self.tokenizer, sources)]
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

    @torch.no_grad()
    def samples(self, sources: Sequence[str]) -> list[str]:
        """Each sentence with its middle type hidden and guessed."""
        guesses = []
        device = self.network.output.weight.device
        for ids in encode(self.tokenizer, sources):
            middle = len(ids) // 2
            shown = torch.tensor([[CLS, *ids[:middle], MASK, *ids[middle + 1 :], SEP]], device=device)  # [1, S]
            logits = self.network.output(self.network.hidden(shown)[0, 1 + middle])  # [V]
            guesses.append([*ids[:middle], int(logits[len(SPECIALS) :].argmax()) + len(SPECIALS), *ids[middle + 1 :]])
        return decode(self.tokenizer, guesses)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Masked:
    """A fresh masked language model; every initial value is drawn from `generator`."""
    return Masked(run, vocabularies, generator)
