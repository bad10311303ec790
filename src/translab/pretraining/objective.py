"""What a network is trained for: the one interface of every pretraining method and of translation itself.

The network's tensors are named as the Transformer of models/transformer.py names its own (`encoder.embedding…`,
`encoder.layers.0…`). Whatever a method can hand on to a translation model it therefore hands on by name, and a donor is nothing
but a file of tensors (see transfer.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from torch import Tensor, nn

from translab.text.batching import Batch, Examples


@dataclass(frozen=True)
class Loss:
    """The loss of one training batch."""

    objective: Tensor
    """What is minimised: mean over predicted types, smoothing included, nats."""
    tokens: int
    """Predicted types."""


@dataclass(frozen=True)
class Measure:
    """What one batch says about the network in evaluation mode; sums, so that batches add up."""

    loss: float
    """Negative log probability of the right types, nats."""
    correct: int
    """Predictions whose most probable type is the right one."""
    tokens: int
    """Predicted types."""


@dataclass(frozen=True)
class Vocabularies:
    """The tokenizers of a task's two sides."""

    source: Tokenizer
    target: Tokenizer


class Objective(ABC):
    """A network, its examples and its loss."""

    network: nn.Module

    @abstractmethod
    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Encode sentence pairs as the network wants them."""

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The loss to minimise on one batch."""

    @abstractmethod
    def measure(self, batch: Batch) -> Measure:
        """Loss and accuracy on one batch, without smoothing; the network is in evaluation mode."""

    @abstractmethod
    def samples(self, sources: Sequence[str]) -> list[str]:
        """What the network makes of some sentences: its translations, or its guesses."""
