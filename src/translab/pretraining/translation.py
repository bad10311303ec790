"""Translation: the objective of task B, and, on task A, the pretraining of a parent model (Zoph, Yuret, May & Knight 2016,
"Transfer Learning for Low-Resource Neural Machine Translation").

The loss is cross-entropy with label smoothing (Szegedy et al. 2016, section 7): the right type has probability 1 − ε, and ε is
spread evenly over the whole vocabulary. The source may begin with [START] (`batch.source_start`) and end with [END]
(`batch.source_end`); the target always begins with [START] and ends with [END].

With two passes (`optimisation.passes`) a batch is read twice under different dropout, and the loss is the mean of both, plus
the symmetric divergence of the two predictions, times `optimisation.consistency` c (Liang et al. 2021, "R-Drop: Regularized
Dropout for Neural Networks", equations 2 to 4):

    L = (L_1 + L_2) / 2 + c · (KL(p_1 ‖ p_2) + KL(p_2 ‖ p_1)) / 2        means over predicted types

The paper has the sum L_1 + L_2, so its α is 2 c. With c = 0 it is the control: twice the passes and nothing else.

The network is the body that `model.body` names. Where the shallow layers come from ELMo, the source embedding is one with
features (models/features.py).

Shapes: B sentences · S source length · T target length · D width · N predicted types · V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from translab.config import ConfigError, Run, RunTransfer, Values, check
from translab.decoding import translate
from translab.models.bodies import build_translator
from translab.models.features import FeatureEmbedding, FeatureValues, spellings
from translab.models.initialisation import initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.models.transformer import Transformer
from translab.models.translator import Translator
from translab.pretraining.gaps import batches, in_order
from translab.pretraining.objective import Loss, Measure, Objective, Sentences, Side, Vocabularies
from translab.text.batching import Batch, Examples
from translab.text.bpe import END, PAD, START, decode, encode


class Options(Values):
    """The method has no values of its own."""


class Translation(Objective):
    """A translation model and its loss."""

    network: Translator
    side: Side = "source"

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        self.vocabularies = vocabularies
        self.start = [START] if run.values.batch.source_start else []
        self.end = [END] if run.values.batch.source_end else []
        self.passes = run.values.optimisation.passes
        self.consistency = run.values.optimisation.consistency
        self.smoothing = run.values.optimisation.label_smoothing
        self.batch_tokens = run.values.batch.tokens
        self.network = build_translator(
            run.values.model,
            vocabularies.source.get_vocab_size(),
            vocabularies.target.get_vocab_size(),
            generator,
        )
        if run.transfer is not None and run.transfer.features is not None:
            self._add_features(run, run.transfer, generator)

    def _add_features(self, run: Run, transfer: RunTransfer, generator: torch.Generator) -> None:
        """Give the source embedding a place for a donor's features; its own vectors stay what they are."""
        if not isinstance(self.network, Transformer):
            raise ConfigError(
                f"{run.name}: features of `{transfer.source}` go into a Transformer, but model.body is "
                f"`{run.values.model.body}`; take another donor or the body `transformer`."
            )
        if self.start:
            raise ConfigError(
                f"{run.name}: features of `{transfer.source}` bring a [START] of their own, but batch.source_start is true; "
                f"take another donor, or set it to false."
            )
        sizes = check(FeatureValues, transfer.features, f"{run.name}: values.transfer.features")
        embedding = FeatureEmbedding(run.values.model, sizes, spellings(self.vocabularies.source, sizes))
        initialise(embedding, generator)
        embedding.load_state_dict(self.network.encoder.embedding.state_dict(), strict=False)
        self.network.encoder.embedding = embedding

    def sources(self, texts: Sequence[str]) -> list[list[int]]:
        """Encoded sources, [START] first and [END] last where the run wants them."""
        return self._framed(encode(self.vocabularies.source, texts))

    def _framed(self, sentences: Sentences) -> list[list[int]]:
        return [[*self.start, *ids, *self.end] for ids in sentences]

    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Encoded pairs; the target between [START] and [END]."""
        return Examples(self.sources(sources), [[START, *ids, END] for ids in encode(self.vocabularies.target, targets)])

    def loss(self, batch: Batch) -> Loss:
        """Smoothed cross-entropy of each target type given those before it and the source, and what two passes add to it."""
        source, target = batch.source, batch.target
        if self.passes == 2:
            source, target = torch.cat((source, source)), torch.cat((target, target))
        memory = self.network.encode(source)  # [B, S, D]; B counts each sentence once a pass, here and below
        hidden = self.network.decode(target[:, :-1], memory, source)  # [B, T-1, D]
        right = target[:, 1:]  # [B, T-1]
        real = right != PAD
        hidden = hidden[real]  # [N, D]; all of the first pass, then all of the second
        output = self.network.output
        objective, _ = smoothed_cross_entropy(hidden, output.weight, output.bias, right[real], self.smoothing)
        if self.consistency:
            objective = objective + self.consistency * disagreement(*output(hidden).float().chunk(2))
        return Loss(objective, int(real.sum()) // self.passes)

    def measure(self, batch: Batch) -> Measure:
        """Cross-entropy and accuracy under teacher forcing."""
        loss, hits = self.judged(batch, self.network.encode(batch.source))
        return Measure(loss, int(hits.sum()), len(hits))

    def judged(self, batch: Batch, memory: Tensor) -> tuple[float, Tensor]:
        """Teacher forcing, with the memory of the batch's sources [B, M, E].

        Returns:
            the negative log probability of all right types together, nats, and for each of them, sentence by sentence, whether
            it is the most probable one, [N].
        """
        right = batch.target[:, 1:]  # [B, T-1]
        real = right != PAD
        logits = self.network.output(self.network.decode(batch.target[:, :-1], memory, batch.source))[real]  # [N, V]
        loss = functional.cross_entropy(logits.float(), right[real], reduction="sum")
        return loss.item(), logits.argmax(-1) == right[real]

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Greedy translations."""
        hypotheses = translate(self.network, self.sources(sources), beam=1, length_penalty=0.0, batch_tokens=self.batch_tokens)
        return decode(self.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])

    def states(self, sentences: Sentences) -> list[Tensor]:
        """The encoder's final state of each source type, [S, D]."""
        vectors: dict[int, Tensor] = {}
        for rows, tokens in batches(self._framed(sentences), next(self.network.parameters()).device):
            for row, state in zip(rows, self.network.encoder(tokens), strict=True):
                vectors[row] = state[len(self.start) :][: len(sentences[row])]
        return in_order(vectors)


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """(KL(p ‖ q) + KL(q ‖ p)) / 2 of the distributions that two sets of logits [N, V] make, mean over N, nats."""
    first, second = first.log_softmax(-1), second.log_softmax(-1)
    return ((first.exp() - second.exp()) * (first - second)).sum(-1).mean() / 2


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Translation:
    """A fresh translation model; every initial value is drawn from `generator`."""
    if run.method is not None:
        check(Options, run.values.method, f"params.yaml: methods.{run.name}")
    return Translation(run, vocabularies, generator)
