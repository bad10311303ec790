"""What a network is trained for: the one interface of every pretraining method and of translation itself.

Every method is an `Objective`. What it can say beyond its loss it says by the protocols below: a `LanguageModel` gives a
sentence a probability, a `GapFiller` guesses a hidden type, a `Contextual` gives a vector to each type in its sentence, a
`Summarised` one to the whole sentence. Intrinsic measures ask for a protocol, never for a method.

The network's tensors are named as the Transformer of models/transformer.py names its own (`encoder.embedding…`,
`encoder.layers.0…`). Whatever a method can hand on to a translation model it therefore hands on by name, and a donor is nothing
but a file of tensors (see transfer.py). A network without anything to train (`requires_grad`) is not trained: it is counted, or
given.

Shapes: N sentences · S length · D width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

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


Side = Literal["source", "target"]
Sentences = Sequence[Sequence[int]]
"""Ids of each sentence, without specials."""


class Objective(ABC):
    """A network, its examples and its loss."""

    network: nn.Module
    side: Side
    """Whose text the network reads, in `samples` and in the protocols below; a translator reads the source."""

    @abstractmethod
    def examples(self, sources: Sequence[str], targets: Sequence[str]) -> Examples:
        """Encode sentence pairs as the network wants them."""

    def count(self, training: Examples) -> None:  # noqa: B027 -- most methods count nothing
        """Count what must be known of the training text before the first update; called once."""

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The loss to minimise on one batch."""

    @abstractmethod
    def measure(self, batch: Batch) -> Measure:
        """Loss and accuracy on one batch, without smoothing; the network is in evaluation mode."""

    @abstractmethod
    def samples(self, sources: Sequence[str], targets: Sequence[str]) -> list[str]:
        """What the network makes of some sentence pairs: its translations, or its guesses; a line for each."""


@runtime_checkable
class LanguageModel(Protocol):
    """Gives every sentence a probability."""

    side: Side

    def log_probabilities(self, sentences: Sentences) -> list[float]:
        """ln p of each sentence, its end included, nats."""
        ...


@runtime_checkable
class GapFiller(Protocol):
    """Guesses a hidden type from the others, or from as many of them as the method sees."""

    side: Side

    def fill(self, sentences: Sentences, gaps: Sequence[int]) -> list[int]:
        """The most probable ordinary type at position `gaps[i]` of sentence i, whose own type there is not looked at."""
        ...


@runtime_checkable
class Contextual(Protocol):
    """Gives each type a vector that depends on its sentence."""

    side: Side

    def states(self, sentences: Sentences) -> list[Tensor]:
        """A vector for each type of each sentence, [S, D]; specials that the method adds have none."""
        ...


@runtime_checkable
class Summarised(Protocol):
    """Gives each sentence one vector."""

    side: Side

    def summaries(self, sentences: Sentences) -> Tensor:
        """[N, D]: the state of [CLS], or the mean of the sentence's states, as the method was trained."""
        ...
