"""How far back a body remembers: equal to the Jacobian where it is known, and to small changes where it is not."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from translab import config
from translab.evaluation.memory import SENTENCES, gradient_norms, memory
from translab.models.bodies import build_translator
from translab.models.translator import Translator

SOURCE_TYPES, WIDTH = 31, 10
BODIES = ["transformer", "lstm-attention", "lstm", "rnn"]


def build(body: Any) -> Any:
    values = config.Model(
        body=body,
        width=WIDTH,
        feedforward=13,
        heads=2,
        encoder_layers=2,
        decoder_layers=2,
        positions="sinusoidal",
        normalisation="pre",
        connection="residual",
        attention_scale="sqrt",
        cross_projection="separate",
        causal=True,
        dropout=0.1,
        maximum_length=19,
    )
    return build_translator(values, SOURCE_TYPES, 7, torch.Generator().manual_seed(1)).eval()


def draw(seed: int, batch: int, length: int) -> Tensor:
    """Sources without special tokens."""
    return torch.randint(7, SOURCE_TYPES, (batch, length), generator=torch.Generator().manual_seed(seed))


class Diagonal(nn.Module):
    """h_t = w · h_{t-1} + x_t, element by element: ∂h_T/∂x_{T−k} is the diagonal matrix of w^k."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.factors = torch.tensor(factors)
        self.embedding = nn.Embedding(SOURCE_TYPES, len(factors))

    def forward(self, tokens: Tensor) -> Tensor:
        h = torch.zeros(len(tokens), len(self.factors))
        states = []
        for x in self.embedding(tokens).unbind(1):
            h = self.factors * h + x
            states.append(h)
        return torch.stack(states, dim=1)


def diagonal(factors: list[float], maximum_length: int = 19) -> Translator:
    network = SimpleNamespace(
        encoder=Diagonal(factors), output=nn.Linear(2, 2), maximum_length=maximum_length, reads_backwards=False, parameters=list
    )
    return cast(Translator, network)


def test_the_memory_of_a_diagonal_recurrence_is_the_power_of_its_factors() -> None:
    sources = [draw(length, 1, length)[0].tolist() for length in (5, 3, 1, 4)]
    found = memory(diagonal([0.5, -0.9]), sources)
    assert [row["distance"] for row in found] == [0, 1, 2, 3, 4]
    assert [row["sentences"] for row in found] == [4, 3, 3, 2, 1]
    for row in found:
        k = row["distance"]
        assert row["norm"] == pytest.approx(math.sqrt(0.5 ** (2 * k) + 0.9 ** (2 * k)), rel=1e-5)


def test_what_is_empty_or_too_long_is_passed_over_and_the_rest_evenly_spaced() -> None:
    sources = [[], [7] * 4, [7] * 3] + [[7, 7]] * (2 * SENTENCES)
    assert [row["sentences"] for row in memory(diagonal([0.5], maximum_length=3), sources)] == [SENTENCES, SENTENCES, 1]


@pytest.mark.parametrize("body", BODIES)
def test_the_gradient_norm_is_what_small_changes_show(body: str) -> None:
    """Finite differences of the last state, type by type; it stands at the first type where the source is read backwards."""
    model = build(body)
    source = draw(1, 2, 6)
    source[1, 4:] = 0
    norms = gradient_norms(model, source)
    assert (norms[1, 4:] == 0).all() and all(parameter.requires_grad for parameter in model.parameters())
    end = 0 if body in ("lstm", "rnn") else 3
    change: list[Any] = [0, 0, 0.0]

    def moved(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[1, change[0], change[1]] += change[2]
        return output

    hook = model.encoder.embedding.register_forward_hook(moved)
    with torch.no_grad():
        for place in range(4):
            squares = 0.0
            for part in range(WIDTH):
                ends = []
                for size in (1e-2, -1e-2):
                    change[:] = place, part, size
                    ends.append(model.encoder(source)[1, end])
                squares += float((ends[0] - ends[1]).div(2e-2).square().sum())
            assert float(norms[1, place]) == pytest.approx(math.sqrt(squares), rel=2e-3)
    hook.remove()


def test_a_plain_recurrent_network_forgets_and_attention_does_not() -> None:
    sources = draw(1, 5, 17).tolist()

    def fallen(body: str) -> float:
        curve = [row["norm"] for row in memory(build(body), sources)]
        return curve[-1] / curve[1]

    assert fallen("rnn") < 0.05 < fallen("transformer")
