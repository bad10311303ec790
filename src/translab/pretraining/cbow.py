"""Continuous bag of words (Mikolov, Chen, Corrado & Dean 2013, "Efficient Estimation of Word Representations in Vector Space",
section 3.1; Mikolov, Sutskever, Chen, Corrado & Dean 2013, "Distributed Representations of Words and Phrases", section 2).

A type x is predicted from the mean h of the vectors of the types in its window, h = (1/n) Σ Q[c].

    softmax             L = −ln softmax(W1 h + b1)[x]
    negative-sampling   L = −ln σ(U[x] · h) − Σ_k ln σ(−U[z_k] · h)    (2013b, equation 4), z_k from count^¾

[START] and [END] are seen but never predicted. A negative that happens to be the right type counts, as in the equation.
Deviations: those of windows.py; hierarchical softmax is left out.

Shapes: B sentences · S length with ends · D width · V vocabulary · N predicted types · K negatives.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from translab.config import Run, Values, check
from translab.config.checking import PositiveInt
from translab.models.initialisation import Embedding, initialise
from translab.models.kernels import smoothed_cross_entropy
from translab.pretraining.objective import Loss, Measure, Side, Vocabularies
from translab.pretraining.vectors import WordVectors
from translab.pretraining.windows import Frequencies, WindowMethod, near
from translab.text.batching import Batch, Examples
from translab.text.bpe import SPECIALS


class Options(Values):
    """word2vec's values; skipgram has the same."""

    side: Side = Field(description="whose text is read")
    window: PositiveInt = Field(description="types on each side of a type that belong to its window")
    objective: Literal["negative-sampling", "softmax"] = Field(description="how the predicted type is told from the others")
    negatives: PositiveInt | None = Field(description="types drawn from the noise for each predicted one; null with softmax")

    @model_validator(mode="after")
    def _negatives_where_they_are_sampled(self) -> Options:
        if self.objective == "softmax" and self.negatives is not None:
            raise ValueError(f"negatives is {self.negatives}, but objective softmax samples none; set it to null")
        if self.objective == "negative-sampling" and self.negatives is None:
            raise ValueError("negatives is null, but objective negative-sampling needs a number; give 5 to 20")
        return self


class Network(WordVectors):
    """Input vectors Q (`tokens`) and output vectors: U alone, or W1 and b1 for the softmax (`output`, `output_bias`)."""

    output_bias: nn.Parameter | None

    def __init__(self, options: Options, types: int, width: int, generator: torch.Generator) -> None:
        super().__init__(options.side, types, width)
        self.output = Embedding(types, width)
        self.register_parameter("output_bias", nn.Parameter(torch.zeros(types)) if options.objective == "softmax" else None)
        self.frequencies = Frequencies(types)
        initialise(self, generator)

    def logits(self, vectors: Tensor) -> Tensor:
        """How probable each output type is, up to a constant: [..., D] → [..., V].

        Negative sampling learns the logarithm of a probability less that of the noise (Levy & Goldberg 2014, "Neural Word
        Embedding as Implicit Matrix Factorization", section 3.1), so the noise is added.
        """
        bias = self.frequencies.log_noise() if self.output_bias is None else self.output_bias
        return functional.linear(vectors, self.output.weight, bias)


class ContinuousBagOfWords(WindowMethod):
    """The network and its loss."""

    network: Network

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        super().__init__(own.side, vocabularies)
        self.window, self.negatives = own.window, own.negatives
        self.network = Network(own, self.types, run.values.model.width, generator)

    def count(self, training: Examples) -> None:
        """How often each predicted type occurs."""
        self.network.frequencies.count(training, ends=False)

    def hidden(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The mean vector around each ordinary type, [N, D], and the type, [N]."""
        around = near(source, self.window)  # [B, S, S]
        vectors = self.network.tokens(source)  # [B, S, D]
        means = (around.to(vectors.dtype) / around.sum(-1, keepdim=True).clamp(min=1)) @ vectors  # [B, S, D]
        predicted = source >= len(SPECIALS)
        return means[predicted], source[predicted]

    def losses(self, hidden: Tensor, right: Tensor, noise: Tensor | None) -> Tensor:
        """Mean loss, in nats.

        Args:
            hidden: [N, D].
            right: [N].
            noise: types drawn from the noise, [N, K]; None with softmax.
        """
        output, bias = self.network.output, self.network.output_bias
        if noise is None:
            assert bias is not None, "only a softmax samples no negatives"
            return smoothed_cross_entropy(hidden, output.weight, bias, right, 0.0)[0]
        of_right = (output(right) * hidden).sum(-1)  # [N]
        of_noise = (output(noise) @ hidden[:, :, None])[:, :, 0]  # [N, K]
        return -(functional.logsigmoid(of_right).sum() + functional.logsigmoid(-of_noise).sum()) / max(1, len(right))

    def noise(self, right: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """Negatives for N types, [N, K]; None with softmax."""
        if self.negatives is None:
            return None
        return self.network.frequencies.draw((len(right), self.negatives), generator)

    def loss(self, batch: Batch) -> Loss:
        """Loss of each ordinary type given its window."""
        hidden, right = self.hidden(batch.source)
        return Loss(self.losses(hidden, right, self.noise(right, None)), len(right))

    @torch.no_grad()
    def measure(self, batch: Batch) -> Measure:
        """Loss, with the same negatives at every call, and how often the right type is the most probable."""
        hidden, right = self.hidden(batch.source)
        generator = torch.Generator(right.device).manual_seed(0)
        loss = self.losses(hidden, right, self.noise(right, generator)) * len(right)
        guesses = self.network.logits(hidden).argmax(-1)
        return Measure(loss.item(), int((guesses == right).sum()), len(right))

    def surrounding_table(self) -> Tensor:
        """Q."""
        return self.network.tokens.weight

    def scores(self, surroundings: Tensor, neighbours: Tensor) -> Tensor:
        """Logits after the mean of the window."""
        return self.network.logits(surroundings / neighbours)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> ContinuousBagOfWords:
    """Fresh vectors; every initial value is drawn from `generator`."""
    return ContinuousBagOfWords(run, vocabularies, generator)
