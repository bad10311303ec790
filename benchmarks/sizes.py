"""The Transformer whose size the benchmarks vary: all else is the base's of params.yaml."""

from __future__ import annotations

from translab.config import Model


def transformer(width: int, feedforward: int, layers: int, dropout: float, maximum_length: int) -> Model:
    """Values of a model with 4 heads and so many layers on either side."""
    return Model(
        body="transformer",
        width=width,
        feedforward=feedforward,
        heads=4,
        encoder_layers=layers,
        decoder_layers=layers,
        positions="sinusoidal",
        normalisation="pre",
        connection="residual",
        attention_scale="sqrt",
        cross_projection="separate",
        causal=True,
        dropout=dropout,
        maximum_length=maximum_length,
    )
