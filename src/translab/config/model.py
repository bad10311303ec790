"""The values of a model: the section `model` of `params.yaml`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from translab.config.checking import PositiveInt, Probability, Values

TRANSFORMER_ALONE: dict[str, str | bool] = {
    "connection": "residual",
    "attention_scale": "sqrt",
    "cross_projection": "separate",
    "causal": True,
}
"""Values of the model that only the body `transformer` can change, and what they are for the others."""

RECURRENT = ("lstm-attention", "lstm", "rnn")
"""Bodies that know order by reading."""
NOT_RECURRENT = ("feedforward", "heads", "positions", "normalisation")
"""Values of the model that these bodies do not read."""


class Model(Values):
    """The encoder–decoder model."""

    body: Literal["transformer", "torch", "lstm-attention", "lstm", "rnn"] = Field(
        description="what reads the source and writes the target: a Transformer, the library's own "
        "(torch.nn.Transformer), LSTMs with attention, or an LSTM or a plain recurrent network that hands on its last state "
        "alone"
    )
    width: PositiveInt = Field(description="width D of every hidden state")
    feedforward: PositiveInt = Field(description="width of the feed-forward layer")
    heads: PositiveInt = Field(description="attention heads H; each has width D / H, so the parameter count is constant")
    encoder_layers: PositiveInt
    decoder_layers: PositiveInt
    positions: Literal["sinusoidal", "learned-from-sinusoidal", "learned", "none"]
    normalisation: Literal["pre", "post"] = Field(description="layer normalisation before or after each sub-layer")
    connection: Literal["residual", "highway", "none"] = Field(
        description="what each sub-layer's output f(x) becomes: x + f(x), a gated mean of x and f(x), or f(x) alone"
    )
    attention_scale: Literal["sqrt", "none"] = Field(
        description="by what products of queries and keys are divided: the square root of a head's width, or nothing"
    )
    cross_projection: Literal["separate", "none"] = Field(
        description="keys and values of cross-attention: projections of the encoder's states, or these states themselves"
    )
    causal: bool = Field(description="hide from each target word those after it; without that the answer leaks into training")
    dropout: Probability = Field(description="share of activations set to zero in training")
    maximum_length: PositiveInt = Field(description="tokens a side may have, START, END and the like included")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Model:
        if self.width % self.heads:
            divisors = ", ".join(str(h) for h in range(1, self.width + 1) if self.width % h == 0)
            raise ValueError(f"heads {self.heads} does not divide width {self.width}; allowed are {divisors}")
        if self.width % 2:
            raise ValueError(f"width {self.width} is odd; sinusoidal positions need pairs of sine and cosine")
        return self

    @model_validator(mode="after")
    def _other_bodies_are_not_changed_by_what_they_lack(self) -> Model:
        if self.body != "transformer":
            for key, neutral in TRANSFORMER_ALONE.items():
                if (found := getattr(self, key)) != neutral:
                    raise ValueError(
                        f"{key} {_as_written(found)} has no meaning for body {self.body}, which only knows {key} "
                        f"{_as_written(neutral)}; set it to that, or take body transformer"
                    )
        return self


def _as_written(value: str | bool) -> str:
    """A value as it stands in YAML."""
    return str(value).lower()
