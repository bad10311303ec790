"""First values of a model's parameters, each drawn from a stream of its own.

Matrices are Xavier uniform (Glorot and Bengio 2010), biases zero, embeddings normal with variance 1/D, as
in the Transformer's reference implementations; positions and recurrent layers draw their own values. A parameter's stream
depends on the generator that is passed and on the parameter's name, so two models that differ in one axis share the first
values of every parameter that both have with the same size: variants with one seed are paired.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from translab.models.kernels import PADDING
from translab.seeds import stream


class Linear(nn.Linear):
    """A linear layer whose values `initialise` gives; its making draws nothing."""

    def reset_parameters(self) -> None:
        """Leave the values open."""


class Embedding(nn.Embedding):
    """A table of token vectors whose values `initialise` gives; its making draws nothing."""

    def reset_parameters(self) -> None:
        """Leave the values open."""


@runtime_checkable
class Initialised(Protocol):
    """A part that knows its own parameters' first values, such as a table of positions or a recurrent layer."""

    def initialise(self, generator: torch.Generator) -> None:
        """Draw them from `generator`."""
        ...


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every parameter of `module` its first value; one number is drawn from `generator`, whatever the module's size."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    for path, part in module.named_modules():
        own = torch.Generator().manual_seed(stream(seed, path))
        if isinstance(part, Linear):
            nn.init.xavier_uniform_(part.weight, generator=own)
            nn.init.zeros_(part.bias)
        elif isinstance(part, Embedding):
            nn.init.normal_(part.weight, std=part.embedding_dim**-0.5, generator=own)
            with torch.no_grad():
                part.weight[PADDING] = 0
        elif isinstance(part, Initialised):
            part.initialise(own)
