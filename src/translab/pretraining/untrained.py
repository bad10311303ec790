"""The control: the translation model with its first values, which are never trained.

What a reader of its states, or a model that takes its layers, gains from it was not learned: it comes from the shape of the
network and from random values alone (the random, untrained weights of Yosinski, Clune, Bengio & Lipson 2014, "How transferable
are features in deep neural networks?", section 4.3).
"""

from __future__ import annotations

import torch

from translab.config import Run, Values, check
from translab.pretraining.objective import Vocabularies
from translab.pretraining.translation import Translation


class Options(Values):
    """The method has no values of its own."""


def build(run: Run, vocabularies: Vocabularies, generator: torch.Generator) -> Translation:
    """A fresh translation model without anything to train; every value is drawn from `generator`."""
    check(Options, run.values.method, f"params.yaml: methods.{run.name}")
    objective = Translation(run, vocabularies, generator)
    objective.network.requires_grad_(False)
    return objective
