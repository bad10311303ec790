"""Skip-gram (Mikolov et al. 2013a, section 3.2; 2013b, equations 1, 2 and 4; the papers' names stand in cbow.py).

From a type x each type c in its window is predicted.

    softmax             L = −ln softmax(W1 Q[x] + b1)[c]
    negative-sampling   L = −ln σ(U[c] · Q[x]) − Σ_k ln σ(−U[z_k] · Q[x]), z_k from count^¾

The loss is the mean over pairs (x, c). [START] and [END] are types like others, on both sides of a pair.
Deviations: those of windows.py; hierarchical softmax is left out; the pairs of one x in a sentence share their negatives, which
leaves every expectation as it is and spares most of the drawing.

A gap is filled by Bayes' rule with the types around it independent given its own: ln p(x) + Σ_c ln p(c | x).

Shapes: B sentences · S length with ends · D width · V vocabulary · N gaps · K negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from translab.config import Run, check
from translab.pretraining.cbow import Network, Options
from translab.pretraining.objective import Loss, Measure, Vocabularies
from translab.pretraining.windows import WindowMethod, near
from translab.text.batching import Batch, Examples

__all__ = ["Options", "SkipGram", "build"]


class SkipGram(WindowMethod):
    """The network and its loss."""

    network: Network

    def __init__(self, run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> None:
        own = check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        super().__init__(own.side, vocabularies)
        self.window, self.negatives = own.window, own.negatives
        self.network = Network(own, self.types, run.values.model.width, generator)

    def count(self, training: Examples) -> None:
        """How often each type occurs."""
        self.network.frequencies.count(training, ends=True)

    def losses(self, source: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Summed loss of all pairs, in nats, and how many they are.

        Args:
            source: ids, [B, S].
            noise: types drawn from the noise for each position, [B, S, K]; None with softmax.
        """
        pairs = near(source, self.window).float()  # [B, S, S]; from row to column
        neighbours = pairs.sum(-1)  # [B, S]
        x, output = self.network.tokens(source), self.network.output  # [B, S, D]
        of_pairs = x @ output.weight[source].mT  # [B, S, S]
        if noise is None:
            assert self.network.output_bias is not None, "only a softmax samples no negatives"
            of_pairs = of_pairs + self.network.output_bias[source][:, None, :]
            # The pairs of one position share their normaliser.
            loss = (self.network.logits(x).logsumexp(-1) * neighbours).sum() - (of_pairs * pairs).sum()
        else:
            of_noise = (output(noise) @ x[..., None])[..., 0]  # [B, S, K]
            loss = -(functional.logsigmoid(of_pairs) * pairs).sum()
            loss = loss - (functional.logsigmoid(-of_noise).sum(-1) * neighbours).sum()
        return loss, pairs.sum()

    def noise(self, source: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """Negatives for each position, [B, S, K]; None with softmax."""
        if self.negatives is None:
            return None
        return self.network.frequencies.draw((*source.shape, self.negatives), generator)

    def loss(self, batch: Batch) -> Loss:
        """Loss of each pair of types that stand in one window."""
        loss, pairs = self.losses(batch.source, self.noise(batch.source, None))
        return Loss(loss / pairs.clamp(min=1), int(pairs))

    @torch.no_grad()
    def measure(self, batch: Batch) -> Measure:
        """Loss, with the same negatives at every call, and how often a neighbour is the most probable one."""
        source = batch.source
        loss, pairs = self.losses(source, self.noise(source, torch.Generator(source.device).manual_seed(0)))
        guesses = self.network.logits(self.network.tokens(source)).argmax(-1)  # [B, S]
        right = (guesses[:, :, None] == source[:, None, :]) & near(source, self.window)  # [B, S, S]
        return Measure(loss.item(), int(right.sum()), int(pairs))

    def surrounding_table(self) -> Tensor:
        """Output vectors: from a type in the gap its neighbours are predicted."""
        return self.network.output.weight

    def scores(self, surroundings: Tensor, neighbours: Tensor) -> Tensor:
        """ln p(x) + Σ_c ln p(c | x) up to what is the same for every x. Negative sampling learns ln p(c | x) up to a term of c
        alone (Levy & Goldberg 2014); softmax needs the normaliser of x for each neighbour.
        """
        q = self.network.tokens.weight
        scores = surroundings @ q.T + self.network.frequencies.share().log()  # [N, V]
        return scores if self.negatives is not None else scores - neighbours * self.network.logits(q).logsumexp(-1)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> SkipGram:
    """Fresh vectors; every initial value is drawn from `generator`."""
    return SkipGram(run, vocabularies, generator)
