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
    dropout: bool = Field(description="whether dropout acts in the transferred layers while the rest is trained")


class Sweep(Values):
    """Lists that only expand the grid; no training stage reads them."""

    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    sources: list[Name] = Field(description="donors of fine-tuning: names of methods")
    shallow_layers: list[NonNegativeInt] = Field(
        description="encoder depths n: 1 is the source embedding, 1 + k adds encoder layers 1 to k"
    )
    surgeries: list[Name]


class RunTransfer(Values):
    """Where a fine-tuned run's shallow layers came from."""

    source: Name = Field(description="the donor: a method or a variant")
    shallow_layers: NonNegativeInt = Field(description="encoder depth n: 1 is the source embedding, 1 + k adds layers 1 to k")
    surgery: Name
    train: bool = Field(description="whether the transferred layers go on learning")
    dropout: bool = Field(description="whether dropout acts in the transferred layers while the rest is trained")


class RunData(Values):
    """How much of the training text a run uses."""

    training_pairs: PositiveInt | Literal["all"]


class RunValues(Values):
    """Every value that shaped a run, the variant's delta applied."""

    data: RunData
    model: Model
    batch: Batch
    optimisation: Optimisation
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


# ---- corpora.yaml: where parallel text comes from (an absent optional key means "there is none", never a hidden value) ----

Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SplitName = Annotated[str, Field(pattern=r"^(train|valid|test(-[a-z0-9]+)*)$")]
Column = PositiveInt | Annotated[str, Field(min_length=1)]


class Part(Values):
    """One file (or pair of files) of a corpus."""

    split: SplitName | None = Field(default=None, description="published split the file is; all parts say it, or none")
    archive: str | None = Field(default=None, description="zip or tar file in which the files below are members")


class LinesPart(Part):
    """Two files whose lines correspond."""

    format: Literal["lines"]
    source: str = Field(description="file of source sentences, one a line")
    target: str = Field(description="file of target sentences, one a line")


class TablePart(Part):
    """One file with named or numbered columns."""

    file: str = Field(description="path, or name of a download, or of a member of `archive`")
    source: Column = Field(description="column of the source: a number from 1 (tsv), a name, or a path such as translation.en")
    target: Column = Field(description="column of the target")
    group: Column | None = Field(
        default=None, description="column whose equal values stay in one split (a document, a speaker)"
    )
    tag: Column | None = Field(default=None, description="column of tags that probes select by")


class TsvPart(TablePart):
    """Tab-separated text without quoting; numbered columns, or names that the first line gives."""

    format: Literal["tsv"]


class JsonlPart(TablePart):
    """One JSON object a line."""

    format: Literal["jsonl"]


class ParquetPart(TablePart):
    """A Parquet file."""

    format: Literal["parquet"]


AnyPart = Annotated[LinesPart | TsvPart | JsonlPart | ParquetPart, Field(discriminator="format")]
Parts = Annotated[list[AnyPart], Field(min_length=1)]


class Corpus(Values):
    """Parallel text and its provenance."""

    source_language: Language = Field(description="ISO 639-1 code of the side that is translated")
    target_language: Language = Field(description="ISO 639-1 code of the side it is translated into")
    licence: str = Field(description="licence of the text, as its provider states it")
    attribution: str = Field(description="whom to name, and where the text is described")


class Columns(Values):
    """Columns of a hub dataset; a dot leads into a structure (`translation.en`)."""

    source: str
    target: str
    group: str | None = None
    tag: str | None = None


class HubCorpus(Corpus):
    """A dataset of the Hugging Face hub (or a local folder laid out like one), at a pinned revision."""

    kind: Literal["hub"]
    dataset: str = Field(description="name on the hub, or path of a local folder")
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(description="commit of the dataset's repository")
    configuration: str | None = Field(default=None, description="name of the dataset's configuration")
    columns: Columns
    splits: Annotated[dict[SplitName, str], Field(min_length=1)] = Field(description="our split: the dataset's")


class Download(Values):
    """A file on the web."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    sha256: Sha256


class UrlCorpus(Corpus):
    """Files fetched over http(s) and checked."""

    kind: Literal["url"]
    downloads: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")], Download], Field(min_length=1)]
    parts: Parts


class FilesCorpus(Corpus):
    """Files on this machine; paths are absolute or relative to the project."""

    kind: Literal["files"]
    sha256: dict[str, Sha256] | None = Field(default=None, description="hashes of the files: a changed file is refused")
    parts: Parts


class PhrasebookCorpus(Corpus):
    """Text generated from the phrasebook."""

    kind: Literal["phrasebook"]
    task: Literal["everyday", "travel"]
    pairs: PositiveInt
    seed: NonNegativeInt


AnyCorpus = HubCorpus | UrlCorpus | FilesCorpus | PhrasebookCorpus
CORPUS_KINDS: dict[str, type[AnyCorpus]] = {
    "hub": HubCorpus,
    "url": UrlCorpus,
    "files": FilesCorpus,
    "phrasebook": PhrasebookCorpus,
}
PART_FORMATS: dict[str, type[Part]] = {"lines": LinesPart, "tsv": TsvPart, "jsonl": JsonlPart, "parquet": ParquetPart}


def check_corpus(name: str, values: Mapping[str, Any]) -> AnyCorpus:
    """Build an entry of corpora.yaml, or say in one sentence what is wrong with it."""
    where = f"corpora.yaml: {name}"
    kind = _one_of(CORPUS_KINDS, values, "kind", where)
    for number, part in enumerate(values.get("parts") or ()):
        place = f"{where}.parts.{number}"
        check(_one_of(PART_FORMATS, part, "format", place), part, place)
    entry = check(kind, values, where)
    named = list(entry.splits) if isinstance(entry, HubCorpus) else [part.split for part in getattr(entry, "parts", ())]
    found = [split for split in named if split is not None]
    complete = {"train", "valid", "test"} <= set(found) or set(found) == {"train"}
    if found and (len(found) < len(named) or not complete):
        raise ConfigError(
            f"{where}: published splits need train, valid and test on every part, found {', '.join(sorted(set(found)))}; "
            "name them all, or train alone and the corpus is split by connected component."
        )
    return entry


def _one_of(known: Mapping[str, type[Group]], values: Any, key: str, where: str) -> type[Group]:
    found = values.get(key) if isinstance(values, Mapping) else values
    if not isinstance(found, str) or found not in known:
        raise ConfigError(f"{where}.{key}: found {found!r}, allowed are {', '.join(known)}.")
    return known[found]


class Claim(Values):
    """A statement that compares runs: an entry of `claims.yaml`."""

    name: Name
    statement: str = Field(min_length=1, description="what is claimed, in one sentence")
    source: str = Field(min_length=1, description="who says so: a paper, a tutorial, common belief")
    kind: Literal["superior", "no-worse", "equivalent"] = Field(
        description="the contrast is better than 0; not worse than 0 by `margin` or more; within `margin` of 0"
    )
    contrast: dict[Name, float] = Field(
        description="weight of each run by its name; the weights sum to 0, and the claim expects the positive side to be better"
    )
    metric: Literal["bleu", "chrf", "ter", "exact", "loss"] = Field(
        description="what is compared; scores are in percent, loss in nats per token"
    )
    test_set: Name = Field(description="the sentences it is measured on")
    margin: PositiveFloat = Field(description="a difference smaller than this does not matter; in units of the metric")
    family: Name = Field(description="claims that are adjusted together for multiple testing (Holm)")

    @model_validator(mode="after")
    def _weights_compare(self) -> Claim:
        total = sum(self.contrast.values())
        if len(self.contrast) < 2 or 0 in self.contrast.values():
            raise ValueError("contrast must give at least two runs a weight other than 0")
        if abs(total) > 1e-9:
            raise ValueError(f"the weights of contrast sum to {total:g}; they must sum to 0, for example 1 and -1")
        return self


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
        return f"{place} is not a known value.{nearest(key, known)}"
    if kind == "missing":
        return f"{place} is missing; give it a value."
    if kind == "value_error":
        return f"{place}: {first['ctx']['error']!s}."
    found = f"found {first['input']!r}"
    return f"{place}: {first['msg'].lower()}, {found}."


def _keys_at(group: Any, path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = getattr(group, "model_fields", {}).get(part)
        if field is None:
            return []
        group = field.annotation
    return sorted(getattr(group, "model_fields", {}))


def nearest(key: str, known: list[str]) -> str:
    """A hint for a key that does not exist: the nearest that does, or all of them.

    >>> nearest("head", ["heads", "width"])
    ' Did you mean `heads`?'
    """
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean `{close[0]}`?"
    return f" Known are: {', '.join(known)}." if known else ""


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
