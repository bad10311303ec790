"""GloVe (Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation", equations 8 and 9).

X_ij is how often type j stands in the window of type i, each time counted as 1/distance (section 4.2); X is symmetric.

    J = Σ_ij f(X_ij) (w_i · w̃_j + b_i + b̃_j − ln X_ij)²,    f(X) = min(1, (X / x_max)^α)

J is trained from batches of sentences as an expectation: each occurrence of a pair carries (1/distance) f(X_ij) / X_ij, and
these weights add up to f(X_ij) over the text. The loss is the mean over occurrences, J divided by their number.

The paper hands on w + w̃. So the parameters are s = w + w̃, which is the network's table, and d = w − w̃: the same J, as
w_i · w̃_j = ¼ (s_i + d_i) · (s_j − d_j). Deviation: AdamW for AdaGrad. [START] and [END] are types like others.

The loss is no logarithm of a probability; `measure` sums it as it is, and takes w_i · w̃_j + b̃_j for how probable j is near i.
A gap is filled as by skip-gram: ln p(x) + Σ_c ln p(c | x), where ln p(c | x) is w_x · w̃_c + b̃_c less a normaliser of x. Pairs
that never occur are not fitted, so there is no true normaliser; it is taken as what makes ln p(c | x) − ln p(c) zero on average
over the text, which leaves ln p(x) + Σ_c w_x · (w̃_c − mean w̃).

Shapes: B sentences · S length with ends · D width · V vocabulary · N gaps · P occurrences of pairs.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from translab.config import Run, Values, check
from translab.config.checking import PositiveFloat, PositiveInt
from translab.models.initialisation import Embedding, initialise
from translab.models.kernels import PADDING
from translab.pretraining.counts import CountTable
from translab.pretraining.objective import Loss, Measure, Side, Vocabularies
from translab.pretraining.vectors import WordVectors
from translab.pretraining.windows import Frequencies, WindowMethod, near
from translab.text.batching import Batch, Examples, bucketed, pad

COUNT_TOKENS = 100_000
"""Types of a piece of the text in which pairs are counted at once, padding included."""


class Options(Values):
    """GloVe's values."""

    side: Side = Field(description="whose text is read")
    window: PositiveInt = Field(description="types on each side of a type that belong to its window")
    exponent: Annotated[float, Field(gt=0, le=1)] = Field(description="α: how the weight of a pair rises with its count; 0.75")
    ceiling: PositiveFloat = Field(description="x_max: count from which on every pair has weight 1")


class Network(WordVectors):
    """s = w + w̃ (`tokens`), d = w − w̃ (`difference`), the biases b and b̃, and X."""

    def __init__(self, side: Side, types: int, width: int, generator: torch.Generator) -> None:
        super().__init__(side, types, width)
        self.difference = Embedding(types, width, padding_idx=PADDING)
        self.bias = nn.Parameter(torch.zeros(types))
        self.context_bias = nn.Parameter(torch.zeros(types))
        self.together = CountTable(torch.float64)
        """X_ij at key i · V + j."""
        self.frequencies = Frequencies(types)
        initialise(self, generator)

    def words(self, ids: Tensor) -> Tensor:
        """w of these types, [..., D]."""
        words: Tensor = (self.tokens(ids) + self.difference(ids)) / 2
        return words

    def contexts(self, ids: Tensor) -> Tensor:
        """w̃ of these types, [..., D]."""
        contexts: Tensor = (self.tokens(ids) - self.difference(ids)) / 2
        return contexts


class Glove(WindowMethod):
    """The network and its loss."""

    network: Network

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        super().__init__(own.side, vocabularies)
        self.window, self.exponent, self.ceiling = own.window, own.exponent, own.ceiling
        self.network = Network(own.side, self.types, run.values.model.width, generator)

    def count(self, training: Examples) -> None:
        """X, and how often each type occurs."""
        for rows in bucketed(training, COUNT_TOKENS, None):
            first, second, closeness = self.occurrences(pad([training.source[row] for row in rows]))
            self.network.together.add(self._keys(first, second), closeness)
        self.network.frequencies.count(training, ends=True)

    def occurrences(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs of a batch [B, S] in one window, each in both orders: first type, second type, 1/distance, [P]."""
        row, first, second = near(source, self.window).nonzero(as_tuple=True)  # [P]
        closeness: Tensor = 1.0 / (first - second).abs()
        return source[row, first], source[row, second], closeness

    def _keys(self, first: Tensor, second: Tensor) -> Tensor:
        keys: Tensor = first * self.types + second
        return keys

    def losses(self, source: Tensor) -> tuple[Tensor, int]:
        """Summed share in J of the occurrences in a batch [B, S], and how many they are.

        A pair that the training text has not weighs nothing.
        """
        network = self.network
        first, second, closeness = self.occurrences(source)
        x = network.together(self._keys(first, second))  # [P] of float64
        known = x.clamp(min=torch.finfo(x.dtype).tiny)
        share = closeness * (x / self.ceiling).pow(self.exponent).clamp(max=1) / known  # [P]; 0 where X is 0
        pairs = near(source, self.window)
        weight, target = (torch.zeros(pairs.shape, device=source.device) for _ in range(2))  # [B, S, S]
        weight[pairs], target[pairs] = share.float(), known.log().float()
        fitted = network.words(source) @ network.contexts(source).mT  # [B, S, S]
        fitted = fitted + network.bias[source][:, :, None] + network.context_bias[source][:, None, :]
        return (weight * (fitted - target).square()).sum(), len(first)

    def loss(self, batch: Batch) -> Loss:
        """Mean share in J of the batch's occurrences."""
        loss, occurrences = self.losses(batch.source)
        return Loss(loss / max(1, occurrences), occurrences)

    @torch.no_grad()
    def measure(self, batch: Batch) -> Measure:
        """Shares in J, and how often a neighbour is the most probable one."""
        network, source = self.network, batch.source
        loss, occurrences = self.losses(source)
        scores = network.words(source) @ network.contexts(self._every_type()).T + network.context_bias  # [B, S, V]
        guesses = scores.masked_fill(network.frequencies.counts == 0, -torch.inf).argmax(-1)  # [B, S]
        right = (guesses[:, :, None] == source[:, None, :]) & near(source, self.window)  # [B, S, S]
        return Measure(loss.item(), int(right.sum()), occurrences)

    def surrounding_table(self) -> Tensor:
        """w̃ less its mean over the text."""
        contexts = self.network.contexts(self._every_type())  # [V, D]
        return contexts - self.network.frequencies.share() @ contexts

    def scores(self, surroundings: Tensor, neighbours: Tensor) -> Tensor:
        """ln p(x) + Σ_c w_x · (w̃_c − mean w̃)."""
        return surroundings @ self.network.words(self._every_type()).T + self.network.frequencies.share().log()

    def _every_type(self) -> Tensor:
        return torch.arange(self.types, device=self.network.bias.device)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Glove:
    """Fresh vectors; every initial value is drawn from `generator`."""
    return Glove(run, vocabularies, generator)
