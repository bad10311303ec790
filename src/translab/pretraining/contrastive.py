"""Sentence vectors by contrast: InfoNCE (van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive Predictive
Coding", equation 4) with the positives of SimCSE (Gao, Yao & Chen 2021, "SimCSE: Simple Contrastive Learning of Sentence
Embeddings", equations 1 and 4), or with translations as positives.

    L_i = − log exp(cos(h_i, g_i) / τ) / Σ_j exp(cos(h_i, g_j) / τ)

h_i is the vector of sentence i: the mean of its types' final states. g_i is its positive: with `dropout` the same sentence read
again under other dropout; with `translation` its translation, read by a second encoder over the target side. The j are the
sentences of the batch. One that has nearly the same types as sentence i is no negative: it is left out of the sum where the
Jaccard overlap of the two sets of types (of either side, with `translation`) reaches `duplicate_overlap`.

Deviations: no projection head, and the mean instead of [CLS], so that what is trained is what is handed on; the second tower
begins afresh, it is no copy of the first; batches hold sentences of like lengths, so length alone tells no two apart. Both
sides end as the translation model's do; their ends are read but not averaged.

Shapes: B sentences · S length · D width · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Model, Run, Values, check
from translab.models.transformer import Encoder
from translab.pretraining.gaps import batches, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import END, PAD, SPECIALS, START, encode


class Options(Values):
    """The method's own values."""

    positives: Literal["dropout", "translation"] = Field(description="what a sentence is to be recognised by")
    temperature: Annotated[float, Field(gt=0)] = Field(description="τ, by which cosines are divided; SimCSE has 0.05")
    duplicate_overlap: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Jaccard overlap of two sentences' types from which one is no negative of the other; 1: equal sets"
    )


class Towers(nn.Module):
    """The encoder that is handed on and, where translations are the positives, one for the target side."""

    def __init__(self, model: Model, types: int, target_types: int | None, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = Encoder(model, types, generator)
        self.target_encoder = None if target_types is None else Encoder(model, target_types, generator)


def mean_pooled(encoder: Encoder, tokens: Tensor) -> Tensor:
    """Ids [B, S] → the mean of the states of the types that belong to the text, [B, D]."""
    real = ((tokens != PAD) & (tokens != START) & (tokens != END))[..., None]  # [B, S, 1]
    states: Tensor = encoder(tokens)  # [B, S, D]
    return (states * real).sum(1) / real.sum(1).clamp(min=1)


def overlaps(tokens: Tensor, types: int) -> Tensor:
    """Jaccard overlap of every two sentences' sets of ordinary types, ids [B, S] → [B, B]; of two without any it is 1."""
    present = torch.zeros(len(tokens), types, device=tokens.device).scatter_(1, tokens, 1.0)[:, len(SPECIALS) :]  # [B, V]
    common = present @ present.T
    size = present.sum(1)
    union = size[:, None] + size - common
    return torch.where(union > 0, common / union.clamp(min=1), 1.0)


def contrasts(vectors: Tensor, positives: Tensor, temperature: float, near: Tensor) -> Tensor:
    """Logits of InfoNCE.

    Args:
        vectors, positives: [B, D]; row i of one belongs to row i of the other.
        temperature: τ.
        near: which pairs are near duplicates, [B, B] of bool; the diagonal does not matter.

    Returns:
        cosines over τ, [B, B]; minus infinity where a near duplicate is no negative.
    """
    cosines = functional.normalize(vectors, dim=1) @ functional.normalize(positives, dim=1).T
    own = torch.eye(len(near), dtype=torch.bool, device=near.device)
    return (cosines / temperature).masked_fill(near & ~own, -torch.inf)


class Contrastive(Objective):
    """One encoder and InfoNCE over two readings of each sentence."""

    network: Towers
    side: Side = "source"
    two_towers = False

    def __init__(self, run: Run, vocabularies: Vocabularies, own: Options, generator: torch.Generator) -> None:
        self.own = own
        self.vocabularies = vocabularies
        self.start = [START] if run.values.batch.source_start else []
        self.end = [END] if run.values.batch.source_end else []
        self.types = vocabularies.source.get_vocab_size()
        self.target_types = vocabularies.target.get_vocab_size()
        self.network = Towers(run.values.model, self.types, self.target_types if self.two_towers else None, generator)

    def _read(self, encoder: Encoder, sentences: Sentences) -> Tensor:
        """[N, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, tokens in batches(sentences, encoder.norm.weight.device):
            vectors |= zip(rows, mean_pooled(encoder, tokens), strict=True)
        return torch.stack(in_order(vectors))

    def _sources(self, sentences: Sentences) -> list[list[int]]:
        return [[*self.start, *ids, *self.end] for ids in sentences]

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences of the source side; the target side is not used."""
        sentences = self._sources(encode(self.vocabularies.source, sources))
        return Examples(sentences, sentences)

    def _logits(self, batch: Batch) -> Tensor:
        """[B, B]."""
        near = overlaps(batch.source, self.types) >= self.own.duplicate_overlap
        views = [mean_pooled(self.network.encoder, batch.source) for _ in range(2)]
        return contrasts(views[0], views[1], self.own.temperature, near)

    def loss(self, batch: Batch) -> Loss:
        """InfoNCE, the mean over sentences."""
        logits = self._logits(batch)
        own = torch.arange(len(logits), device=logits.device)
        return Loss(functional.cross_entropy(logits, own), len(logits))

    def measure(self, batch: Batch) -> Measure:
        """InfoNCE, and how often the positive is the nearest of the batch; a prediction is a sentence.

        Where dropout makes the positives it acts here too, the same at every call; as it changes little, nearly every positive
        is soon the nearest, and the loss says more than the accuracy.
        """
        devices = [batch.source.device] if batch.source.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)
            self.network.train(not self.two_towers)
            logits = self._logits(batch).float()
            self.network.eval()
        own = torch.arange(len(logits), device=logits.device)
        loss = functional.cross_entropy(logits, own, reduction="sum")
        return Measure(loss.item(), int((logits.argmax(-1) == own).sum()), len(logits))

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """The nearest of the other sources."""
        vectors = functional.normalize(self.summaries(encode(self.vocabularies.source, sources)), dim=1)
        nearest = (vectors @ vectors.T).fill_diagonal_(-torch.inf).argmax(1).tolist()
        return [sources[row] for row in nearest]

    def states(self, sentences: Sentences) -> list[Tensor]:
        """The encoder's final state of each type, [S, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, tokens in batches(self._sources(sentences), self.network.encoder.norm.weight.device):
            for row, state in zip(rows, self.network.encoder(tokens), strict=True):
                vectors[row] = state[len(self.start) :][: len(sentences[row])]
        return in_order(vectors)

    def summaries(self, sentences: Sentences) -> Tensor:
        """The mean of each sentence's states, [N, D]; compare them by cosine."""
        return self._read(self.network.encoder, self._sources(sentences))


class TwoTowers(Contrastive):
    """An encoder for each side, and InfoNCE over sentences and their translations."""

    two_towers = True

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Sentences and their translations, these between [START] and [END]."""
        translations = [[START, *ids, END] for ids in encode(self.vocabularies.target, targets)]
        return Examples(self._sources(encode(self.vocabularies.source, sources)), translations)

    def _logits(self, batch: Batch) -> Tensor:
        """[B, B]."""
        overlap = torch.maximum(overlaps(batch.source, self.types), overlaps(batch.target, self.target_types))
        source = mean_pooled(self.network.encoder, batch.source)
        # Without [START], so that what the translation model's decoder can read this tower can read too.
        target = mean_pooled(self._target_encoder, batch.target[:, 1:])
        return contrasts(source, target, self.own.temperature, overlap >= self.own.duplicate_overlap)

    @property
    def _target_encoder(self) -> Encoder:
        assert self.network.target_encoder is not None
        return self.network.target_encoder

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """The nearest of the targets: the right one is the source's own."""
        source = functional.normalize(self.summaries(encode(self.vocabularies.source, sources)), dim=1)
        target = functional.normalize(self.translations(encode(self.vocabularies.target, targets)), dim=1)
        return [targets[row] for row in (source @ target.T).argmax(1).tolist()]

    def translations(self, sentences: Sentences) -> Tensor:
        """The mean of the states of each sentence of the target side, [N, D]; compare them with `summaries` by cosine."""
        return self._read(self._target_encoder, [[*ids, END] for ids in sentences])


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Contrastive:
    """Fresh sentence vectors; every initial value is drawn from `generator`."""
    own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
    kind = TwoTowers if own.positives == "translation" else Contrastive
    return kind(run, vocabularies, own, generator)
