"""The values of an experiment, section by section of `params.yaml`, and a run's own configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from translab.config.checking import Name, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability, Values
from translab.config.model import Model


class Data(Values):
    """Which corpora the two tasks are, and what of them trains a model of task B."""

    a: Name = Field(description="corpus of task A, on which models are pretrained: an entry of corpora.yaml")
    b: Name = Field(description="corpus of task B, on which models are fine-tuned and compared: an entry of corpora.yaml")
    training_pairs: PositiveInt | Literal["all"] = Field(
        description="training pairs of B that a run may use; the subset is drawn by the run's seed (a method reads all of A, "
        "unless its entry says otherwise)"
    )
    add_a: bool = Field(description="train on A's training pairs together with B's; both must have the same languages")


class Cleaning(Values):
    """What is dropped or rewritten before splitting; every drop is counted in the audit."""

    minimum_length: PositiveInt = Field(description="characters a side must have")
    maximum_length: PositiveInt = Field(description="characters a side may have")
    maximum_ratio: Annotated[float, Field(ge=1)] = Field(
        description="longest side over shortest side in units of the corpus's median ratio; 1 is the median"
    )
    simplified_chinese: bool = Field(description="convert traditional Chinese to simplified (OpenCC t2s)")

    @model_validator(mode="after")
    def _some_length_is_allowed(self) -> Cleaning:
        if self.minimum_length > self.maximum_length:
            raise ValueError(
                f"minimum_length {self.minimum_length} is more than maximum_length {self.maximum_length}, so that no sentence "
                f"is left; lower one or raise the other"
            )
        return self


class Splitting(Values):
    """Sizes of the held-out sets, for corpora without splits of their own."""

    valid: PositiveInt = Field(description="validation pairs")
    test: PositiveInt = Field(description="test pairs")
    seed: NonNegativeInt = Field(description="seed of the assignment of connected components to splits")


class Text(Values):
    """Byte-pair encoding."""

    source_types: PositiveInt = Field(description="size of the source vocabulary, specials included")
    target_types: PositiveInt = Field(description="size of the target vocabulary, specials included")
    joint: bool = Field(description="one vocabulary for both sides; the two sizes are then equal")

    @model_validator(mode="after")
    def _one_vocabulary_has_one_size(self) -> Text:
        if self.joint and self.source_types != self.target_types:
            raise ValueError(
                f"joint is true, but source_types is {self.source_types} and target_types {self.target_types}; one vocabulary "
                f"has one size, so give both the same"
            )
        return self


class Batch(Values):
    """How sentences become tensors."""

    tokens: PositiveInt = Field(description="target tokens in a batch, padding included")
    bucketing: bool = Field(
        description="sentences of similar lengths share a batch; without it those of a batch are a random choice"
    )
    source_start: bool = Field(
        description="put [START] before the source: one more place that says nothing of the end, the control of `source_end`"
    )
    source_end: bool = Field(description="append [END] to the source")


class Optimisation(Values):
    """The training of one model."""

    updates: NonNegativeInt = Field(description="optimizer steps at most; 0 is the untrained control")
    learning_rate: PositiveFloat = Field(description="peak rate of AdamW, or of Adam where the decay is `l2`")
    schedule: Literal["inverse-square-root", "cosine"] = Field(description="shape of the rate after warm-up")
    warmup: NonNegativeInt = Field(description="steps over which the rate rises linearly from 0 to its peak")
    weight_decay: NonNegativeFloat = Field(description="strength λ of the weight decay, matrices only")
    decay: Literal["decoupled", "l2"] = Field(
        description="where the decay acts: on the weights themselves (AdamW), or as a penalty λ/2 · ‖w‖² in the loss (Adam)"
    )
    label_smoothing: Probability = Field(description="probability spread evenly over the vocabulary")
    passes: Annotated[int, Field(ge=1, le=2)] = Field(
        description="dropout passes over each batch; the loss is their mean (translation alone)"
    )
    consistency: NonNegativeFloat = Field(
        description="weight of the symmetric divergence between the predictions of two passes (Liang et al. 2021); 0 is none"
    )
    gradient_clip: PositiveFloat = Field(description="largest 2-norm of the whole gradient")
    validate_every: PositiveInt = Field(description="steps between validations")
    patience: PositiveInt = Field(description="validations without a lower validation loss before training stops")

    @model_validator(mode="after")
    def _training_ends_with_a_validation(self) -> Optimisation:
        rest = self.updates % self.validate_every
        if rest:
            raise ValueError(
                f"updates {self.updates} is no multiple of validate_every {self.validate_every}, so nothing would judge the "
                f"last {rest}; change one of them"
            )
        return self

    @model_validator(mode="after")
    def _two_passes_are_compared(self) -> Optimisation:
        if self.consistency and self.passes == 1:
            raise ValueError(f"consistency {self.consistency} compares two passes, but passes is 1; set passes to 2")
        return self


SeedOf = NonNegativeInt | Literal["run"]


class Randomness(Values):
    """Which seed draws what is random in a run: the run's own (`run`), or always this one."""

    initialisation: SeedOf = Field(description="first values of all parameters that do not come from a donor")
    order: SeedOf = Field(description="order of the training batches")
    dropout: SeedOf = Field(description="dropout, and whatever else is drawn during training")
    subset: SeedOf = Field(description="choice of the training pairs where not all are used")


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


class SurgeryData(Values):
    """What a surgery changes of the section `data`."""

    training_pairs: PositiveInt | Literal["all"] = Field(description="training pairs of B that a fine-tuned run may use")


class Surgery(Values):
    """What happens to transferred layers during fine-tuning."""

    train: Literal["never", "always", "gradually"] = Field(
        description="whether the transferred layers go on learning: not at all, from the start, or released one after the "
        "other, the uppermost first (Howard & Ruder 2018)"
    )
    dropout: bool = Field(description="whether dropout acts in the transferred layers while the rest is trained")
    data: SurgeryData | None = None
    """Only where a surgery is measured at another amount of training text."""
    model: dict[str, Any] | None = None
    """Only where the model differs from the base in some values of that section, such as its depth."""
    optimisation: dict[str, Any] | None = None
    """Only where such a model has to be trained otherwise: a deeper one at a lower learning rate, for longer."""


class Points(Values):
    """A group of fine-tuned models: every source with every depth and every surgery."""

    sources: list[Name] = Field(description="donors: names of methods (trained on A) or of variants (trained on B)")
    layers: list[NonNegativeInt] = Field(description="depths n: 1 is the embedding, 1 + k adds layers 1 to k")
    surgeries: list[Name]


class Sweep(Values):
    """Lists that only expand the grid; no training stage reads them."""

    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    words: Points = Field(description="depths counted on the encoder, for sources that have an embedding alone: depth 1")
    encoder: Points = Field(description="depths counted on the encoder")
    whole: Points = Field(description="depths counted on the encoder, for sources of which other depths are asked")
    decoder: Points = Field(description="depths counted on the decoder")
    joint: Points = Field(description="the same depth of encoder and decoder")
    curve: Points = Field(description="the same depth of encoder and decoder, with surgeries that take less of B")
    deep: Points = Field(description="depths counted on the encoder, with surgeries that make a deeper model")

    @model_validator(mode="after")
    def _seeds_differ(self) -> Sweep:
        twice = [seed for seed in self.seeds if self.seeds.count(seed) > 1]
        if twice:
            raise ValueError(f"seed {twice[0]} stands twice in seeds {self.seeds}; each seed trains every model once")
        return self


Ladder = Literal["encoder", "decoder", "joint"]
GROUPS: dict[str, Ladder] = {
    "words": "encoder",
    "encoder": "encoder",
    "whole": "encoder",
    "decoder": "decoder",
    "joint": "joint",
    "curve": "joint",
    "deep": "encoder",
}
"""On which side each group of the sweep counts depth; dvc.yaml has a pair of stages for each group."""


class RunTransfer(Values):
    """Where a fine-tuned run's shallow layers came from."""

    source: Name = Field(description="the donor: a method or a variant")
    ladder: Ladder = Field(description="on which side depth is counted")
    shallow_layers: NonNegativeInt = Field(description="depth n: 1 is the embedding, 1 + k adds layers 1 to k")
    surgery: Name
    train: Literal["never", "always", "gradually"] = Field(description="whether the transferred layers go on learning")
    dropout: bool = Field(description="whether dropout acts in the transferred layers while the rest is trained")
    features: dict[str, Any] | None = Field(
        description="shape of the contextual features that the donor hands on beside or instead of layers; null without any"
    )


class RunData(Values):
    """How much training text a run uses."""

    training_pairs: PositiveInt | Literal["all"]
    add_a: bool


class RunValues(Values):
    """Every value that shaped a run, the variant's delta applied."""

    data: RunData
    model: Model
    batch: Batch
    optimisation: Optimisation
    randomness: Randomness
    machine: Machine
    method: dict[str, Any] = Field(description="values of the pretraining method; empty for the others")


class Run(Values):
    """One trained model: the `config.json` of its folder."""

    name: Name
    seed: NonNegativeInt
    stage: Literal["pretrain", "ablate", "finetune"]
    task: Literal["a", "b"]
    corpus: Name
    source_language: str
    target_language: str
    method: Name | None = Field(description="pretraining method; null on task B")
    transfer: RunTransfer | None
    axis: str | None = Field(description="dotted path of what a variant changes, several joined by +; null for the base")
    values: RunValues
