"""How far back a body remembers: the gradient of its last state with respect to what it read k types before.

    ‖∂h_T / ∂x_{T−k}‖        Frobenius norm, D × D

is how much a small change of the vector of the type that was read k types ago still changes the state h_T in which the reading
ends. By the chain rule a recurrent network's is a product of k Jacobians and falls or grows with their k-th power (Bengio,
Simard & Frasconi 1994, "Learning Long-Term Dependencies with Gradient Descent is Difficult"; Pascanu, Mikolov & Bengio 2013,
https://arxiv.org/abs/1211.5063, section 2); attention reaches every type in one step a layer. The norm is exact, one backward
pass for each of the D parts of h_T.

x is what leaves the embedding, h the encoder's output at the place where its reading ends: the source's last type, or its first
where the source is read backwards (lstm, rnn).

Shapes: B sentences of a batch · S source length · D width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn

from translab.models.kernels import PADDING
from translab.models.translator import Translator
from translab.text.batching import Examples, bucketed, pad

SENTENCES = 60
"""How many sentences are measured, evenly spaced in the test set."""

TOKENS = 500
"""Source types in a batch, padding included."""


def memory(network: Translator, sources: Sequence[list[int]]) -> list[dict[str, float]]:
    """The gradient norm at each distance.

    Args:
        network: in evaluation mode.
        sources: as the encoder reads them; what is empty or longer than the model is passed over.

    Returns:
        for each distance k from 0 on: `distance`, `norm` (mean over the sentences that are longer than k), and `sentences` (how
        many these are).
    """
    readable = [ids for ids in sources if 0 < len(ids) <= network.maximum_length]
    chosen = readable[:: max(1, len(readable) // SENTENCES)][:SENTENCES]
    found: dict[int, list[float]] = defaultdict(list)
    for rows in bucketed(Examples(chosen, chosen), TOKENS, None):
        source = pad([chosen[row] for row in rows]).to(network.output.weight.device)
        for row, norms in zip(rows, gradient_norms(network, source).tolist(), strict=True):
            length = len(chosen[row])
            for place, norm in enumerate(norms[:length]):
                found[place if network.reads_backwards else length - 1 - place].append(norm)
    return [{"distance": k, "norm": fmean(norms), "sentences": len(norms)} for k, norms in sorted(found.items())]


def gradient_norms(network: Translator, source: Tensor) -> Tensor:
    """Ids [B, S] → the norm of the gradient with respect to each type's vector, [B, S]; 0 on padding."""
    vectors: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        vectors.append(output.detach().requires_grad_())
        return vectors[-1]

    hook = cast(nn.Module, network.encoder.embedding).register_forward_hook(cut)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        # Gradients of the parameters would cost as much again.
        for parameter in trained:
            parameter.requires_grad_(False)
        # cuDNN has no gradient of a recurrent layer in evaluation mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            states = network.encoder(source)  # [B, S, D]
            lengths = (source != PADDING).sum(1)
            ends = torch.zeros_like(lengths) if network.reads_backwards else lengths - 1
            last = states[torch.arange(len(states), device=states.device), ends]  # [B, D]
            squares = torch.zeros(source.shape, device=source.device)
            for part in last.sum(0).unbind():
                squares += torch.autograd.grad(part, vectors, retain_graph=True)[0].square().sum(2)
    finally:
        hook.remove()
        for parameter in trained:
            parameter.requires_grad_(True)
    return squares.sqrt()
