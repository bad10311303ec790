"""What each attention head is worth, and how unlike the heads of a layer are.

    loss, accuracy   under teacher forcing with that head removed: its output is zero (Michel, Levy & Neubig 2019, "Are Sixteen
                     Heads Really Better than One?", section 2.3), because its columns of the output projection are
    entropy          −Σ_s a_s ln a_s of a row of the head's weights, mean over rows, nats
    diversity        Jensen–Shannon divergence of two heads' rows,  H((a + b) / 2) − (H(a) + H(b)) / 2,  mean over rows and over
                     pairs of heads, nats: 0 for heads that look alike, at most ln 2

A head is removed without training the others again, so the figures say what this model leans on, not what a model without the
head could do.

Shapes: D width · H heads · K width of a head · R rows of weights that belong to real types · S length of the keys' side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any, cast

import torch
from torch import Tensor

from translab.evaluation.forcing import mean_scores, total
from translab.models.attention import Attention
from translab.models.blocks import DecoderLayer, EncoderLayer
from translab.models.transformer import Transformer
from translab.pretraining.objective import Measure
from translab.pretraining.translation import Translation
from translab.text.batching import Batch, Examples, bucketed, collate, fitting
from translab.text.bpe import PAD

SENTENCES = 100
"""How many sentences are measured at most, the first of the test set: some 900 types of the phrasebook."""
READINGS = 2400
"""Sentences times heads at most, since every head costs a pass: deep models are measured on fewer sentences.

So this takes less than a tenth of the time of the whole evaluation, whatever the depth.
"""

_Place = tuple[str, int, Attention]
"""One layer's attention: `encoder`, `decoder` or `cross`; the layer, from 1 on; the module."""


@torch.no_grad()
def heads(objective: Translation, examples: Examples, tokens: int, device: torch.device) -> dict[str, Any] | None:
    """Measure every head of a Transformer.

    Args:
        objective: in evaluation mode.
        examples: pairs of the test set; what does not fit the model is passed over.
        tokens: target types in a batch, padding included.
        device: of the network.

    Returns:
        `sentences`; `loss` and `accuracy` of the whole model; and `layers`, for each layer's attention `part` (`encoder`,
        `decoder` or `cross`), `layer`, `diversity` (None for one head) and `heads`, with `loss`, `accuracy` and `entropy` of
        each. None for a body that is not our Transformer.
    """
    network = objective.network
    if not isinstance(network, Transformer):
        return None
    places = _places(network)
    fit, _ = fitting(examples, network.maximum_length)
    affordable = max(1, READINGS // sum(attention.heads for _, _, attention in places))
    chosen = fit.take(range(min(SENTENCES, affordable, len(fit))))
    batches = [collate(chosen, rows).to(device) for rows in bucketed(chosen, tokens, None)]
    memories = [network.encode(batch.source) for batch in batches]
    layers = []
    for part, layer, attention in places:
        entropies, diversity = _looks(network, part, attention, batches, memories)
        figures = []
        for head, entropy in enumerate(entropies):
            with _without(attention, head):
                # What is removed of the decoder leaves the memory as it was.
                read = [network.encode(batch.source) for batch in batches] if part == "encoder" else memories
                figures.append({**_scores(objective, batches, read), "entropy": entropy})
        layers.append({"part": part, "layer": layer, "diversity": diversity, "heads": figures})
    return {"sentences": len(chosen), **_scores(objective, batches, memories), "layers": layers}


def _places(network: Transformer) -> list[_Place]:
    encoder, decoder = cast(list[EncoderLayer], network.encoder.layers), cast(list[DecoderLayer], network.decoder.layers)
    return [
        *(("encoder", number, layer.self_attention) for number, layer in enumerate(encoder, start=1)),
        *(("decoder", number, layer.self_attention) for number, layer in enumerate(decoder, start=1)),
        *(("cross", number, layer.cross_attention) for number, layer in enumerate(decoder, start=1)),
    ]


def _scores(objective: Translation, batches: Sequence[Batch], memories: Sequence[Tensor]) -> dict[str, Any]:
    measures = []
    for batch, memory in zip(batches, memories, strict=True):
        loss, hits = objective.judged(batch, memory)
        measures.append(Measure(loss, int(hits.sum()), len(hits)))
    scores = mean_scores(total(measures))
    return {key: scores[key] for key in ("loss", "accuracy")}


@contextmanager
def _without(attention: Attention, head: int) -> Iterator[None]:
    """Remove a head while the block runs: its columns of the output projection [D, H·K] are zero."""
    columns = attention.output.weight.view(-1, attention.heads, attention.output.weight.size(1) // attention.heads)[:, head]
    kept = columns.clone()
    columns.zero_()
    try:
        yield
    finally:
        columns.copy_(kept)


def _looks(
    network: Transformer, part: str, attention: Attention, batches: Sequence[Batch], memories: Sequence[Tensor]
) -> tuple[list[float], float | None]:
    """The entropy of each head and the diversity of all."""
    entropies, diversities = [], []
    for batch, memory in zip(batches, memories, strict=True):
        weights = _weights(network, part, attention, batch, memory)  # [H, R, S]
        entropies.append(torch.special.entr(weights).sum(2))  # [H, R]
        for one, other in combinations(range(attention.heads), 2):
            middle = torch.special.entr((weights[one] + weights[other]) / 2).sum(1)
            diversities.append(middle - (entropies[-1][one] + entropies[-1][other]) / 2)  # [R]
    means: list[float] = torch.cat(entropies, dim=1).mean(1).tolist()
    # A divergence of equal rows may come out a rounding below 0.
    return means, max(0.0, float(torch.cat(diversities).mean())) if diversities else None


def _weights(network: Transformer, part: str, attention: Attention, batch: Batch, memory: Tensor) -> Tensor:
    """Where each head looks from each real type, [H, R, S]."""
    caught: list[Tensor] = []
    hook = attention.register_forward_hook(lambda _module, _inputs, output: caught.append(output[1]))
    try:
        if part == "encoder":
            network.encode(batch.source)
        else:
            network.decode(batch.target[:, :-1], memory, batch.source)
    finally:
        hook.remove()
    real = (batch.source if part == "encoder" else batch.target[:, 1:]) != PAD
    return attention.by_head(caught[0]).transpose(0, 1)[:, real].double()
