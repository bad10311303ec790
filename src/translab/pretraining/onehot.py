"""The null method: each type is its own dimension, so no two types have anything in common (all cosines are 0).

The table is the identity [V, V]; nothing is trained. Such vectors say nothing of what stands beside them: every type is equally
probable, the loss is ln V per type, and where a most probable type is asked for, it is the first.

Shapes: V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from translab.config import Run, Values, check
from translab.pretraining.objective import Loss, Measure, Vocabularies
from translab.pretraining.vectors import OneSided, WordVectors
from translab.text.batching import Batch
from translab.text.bpe import PAD


class Options(Values):
    """It has no values."""


class OneHot(OneSided):
    """The identity as a table of vectors of the source side."""

    network: WordVectors

    def __init__(self, run: Run, vocabularies: Vocabularies) -> None:
        check(Options, run.values.method, f"params.yaml: methods.{run.name}")
        super().__init__("source", vocabularies)
        self.network = WordVectors("source", self.types, self.types)
        self.network.requires_grad_(requires_grad=False)
        torch.nn.init.eye_(self.network.tokens.weight)

    def loss(self, batch: Batch) -> Loss:
        """ln V per type; there is nothing that could lower it."""
        return Loss(torch.tensor(math.log(self.types)), int((batch.source != PAD).sum()))

    def measure(self, batch: Batch) -> Measure:
        """ln V per type; of equally probable types the first one is guessed, and that is padding."""
        tokens = int((batch.source != PAD).sum())
        return Measure(tokens * math.log(self.types), 0, tokens)

    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Nothing for each sentence: it guesses nothing."""
        return [""] * len(sources)


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> OneHot:
    """The identity; nothing is drawn."""
    del generator
    return OneHot(run, vocabularies)
