"""Every value of an experiment: its name, type, unit, meaning and bounds.

`params.yaml` holds the values, this module says what they are, `dvc.yaml` says which stage reads which. Nothing here has a
default: a value that is missing from `params.yaml` is an error, never a guess. All classes are strict (`1` is not `true`,
`"1e-4"` is not a number), frozen, and refuse keys they do not know; `check` turns a refusal into one readable sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]


class ConfigError(ValueError):
    """A value is missing, unknown, of the wrong type, or out of bounds; the message says where and what to do."""


class Values(BaseModel):
    """A strict, frozen group of values."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Values):
    """Which corpora the two tasks are, and how much of B is used."""

    a: Name = Field(description="corpus of task A, on which models are pretrained: an entry of corpora.yaml")
    b: Name = Field(description="corpus of task B, on which models are fine-tuned and compared: an entry of corpora.yaml")
    training_pairs: PositiveInt | Literal["all"] = Field(
        description="training pairs of B that a run may use; the subset is drawn by the run's seed"
    )


class Cleaning(Values):
    """What is dropped or rewritten before splitting; every drop is counted in the audit."""

    minimum_length: PositiveInt = Field(description="characters a side must have")
    maximum_length: PositiveInt = Field(description="characters a side may have")
    maximum_ratio: PositiveFloat = Field(
        description="longest side over shortest side in units of the corpus's median ratio; 1 is the median"
    )
    simplified_chinese: bool = Field(description="convert traditional Chinese to simplified (OpenCC t2s)")


class Splitting(Values):
    """Sizes of the held-out sets, for corpora without splits of their own."""

    valid: PositiveInt = Field(description="validation pairs")
    test: PositiveInt = Field(description="test pairs")
    seed: NonNegativeInt = Field(description="seed of the assignment of connected components to splits")


class Text(Values):
    """Byte-pair encoding."""

    source_types: PositiveInt = Field(description="size of the source vocabulary, specials included")
    target_types: PositiveInt = Field(description="size of the target vocabulary, specials included")
    joint: bool = Field(description="one vocabulary (of `source_types`) for both sides")


class Model(Values):
    """The encoder–decoder Transformer."""

    width: PositiveInt = Field(description="width D of every hidden state")
    feedforward: PositiveInt = Field(description="width of the feed-forward layer")
    heads: PositiveInt = Field(description="attention heads H; each has width D / H, so the parameter count is constant")
    encoder_layers: PositiveInt
    decoder_layers: PositiveInt
    positions: Literal["sinusoidal", "learned-from-sinusoidal", "learned", "none"]
    normalisation: Literal["pre", "post"] = Field(description="layer normalisation before or after each sub-layer")
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


class Batch(Values):
    """How sentences become tensors."""

    tokens: PositiveInt = Field(description="target tokens in a batch, padding included")
    source_end: bool = Field(description="append [END] to the source")


class Optimisation(Values):
    """The training of one model."""

    updates: PositiveInt = Field(description="optimizer steps at most")
    learning_rate: PositiveFloat = Field(description="peak rate of AdamW")
    schedule: Literal["inverse-square-root", "cosine"] = Field(description="shape of the rate after warm-up")
    warmup: NonNegativeInt = Field(description="steps over which the rate rises linearly from 0 to its peak")
    weight_decay: NonNegativeFloat = Field(description="decoupled weight decay, matrices only")
    label_smoothing: Probability = Field(description="probability spread evenly over the vocabulary")
    gradient_clip: PositiveFloat = Field(description="largest 2-norm of the whole gradient")
    validate_every: PositiveInt = Field(description="steps between validations")
    patience: PositiveInt = Field(description="validations without a lower validation loss before training stops")


class Machine(Values):
    """Where a run computes. It changes the bits of a result, never its meaning."""

    accelerator: Literal["cpu", "cuda"]
    threads: PositiveInt = Field(description="CPU threads of one run")
    precision: Literal["32-true", "bf16-mixed"]


class Decoding(Values):
    """Translation of test sentences."""

    beam: PositiveInt = Field(description="hypotheses kept; 1 is greedy")
    length_penalty: NonNegativeFloat = Field(
        description="exponent α of the length by which a hypothesis's log probability is divided; 0 is none"
    )
    batch_tokens: PositiveInt = Field(description="source tokens in a decoding batch, padding included")


class Statistics(Values):
    """The comparison of models."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(description="level of the intervals")
    resamples: PositiveInt = Field(description="bootstrap resamples of test sentences")
    seed: NonNegativeInt = Field(description="seed of the bootstrap")


class TranslationMethod(Values):
    """Pretraining on the translation of task A; it has no values of its own."""


class MaskedMethod(Values):
    """Masked language model (BERT) on the source side of task A."""

    rate: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of tokens to be predicted")


METHOD_VALUES: dict[str, type[Values]] = {"translation": TranslationMethod, "masked": MaskedMethod}
"""The values of each pretraining method, by its name in params.yaml."""


class Surgery(Values):
    """What happens to transferred layers during fine-tuning."""

    train: bool = Field(description="whether the transferred shallow layers go on learning")


class Sweep(Values):
    """Lists that only expand the grid; no training stage reads them."""

    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    sources: list[Name] = Field(description="donors of fine-tuning: names of methods")
    shallow_layers: list[NonNegativeInt] = Field(
        description="encoder depths n: 1 is the source embedding, 1 + k adds encoder layers 1 to k"
    )
    surgeries: list[Name]


Group = TypeVar("Group")


def check(group: type[Group], values: Any, where: str) -> Group:
    """Build a group of values, or say in one sentence what is wrong.

    Args:
        group: the class (or annotated union) to build.
        values: plain values as read from YAML.
        where: file and path of the values, as a user would name them (`params.yaml: model`).

    Raises:
        ConfigError: with where, what was found, what is allowed, and the nearest right key.
    """
    try:
        return TypeAdapter(group).validate_python(values)
    except ValidationError as error:
        raise ConfigError(_sentence(group, error, where)) from None


def _sentence(group: Any, error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    place = f"{where}.{path}" if path else where
    kind = first["type"]
    if kind == "extra_forbidden":
        parent, key = first["loc"][:-1], str(first["loc"][-1])
        known = _keys_at(group, parent)
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f" Did you mean `{nearest[0]}`?" if nearest else f" Known are: {', '.join(known)}."
        return f"{place} is not a known value.{hint}"
    if kind == "missing":
        return f"{place} is missing; give it a value."
    if kind == "value_error":
        return f"{place}: {str(first['ctx']['error'])}."
    found = f"found {first['input']!r}"
    return f"{place}: {first['msg'].lower()}, {found}."


def _keys_at(group: Any, path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = getattr(group, "model_fields", {}).get(part)
        if field is None:
            return []
        group = field.annotation
    return sorted(getattr(group, "model_fields", {}))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"heads": 4}}` → `{"model.heads": 4}`; lists and scalars are leaves.

    >>> flatten({"model": {"heads": 4}, "seed": 1})
    {'model.heads': 4, 'seed': 1}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
