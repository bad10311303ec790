"""The entries of `corpora.yaml`: where parallel text comes from.

An absent optional key means "there is none", never a hidden value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator

from translab.config import languages
from translab.config.checking import ConfigError, Group, NonNegativeInt, PositiveInt, Values, check

Language = Annotated[str, AfterValidator(languages.known)]
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

    @field_validator("url")
    @classmethod
    def _without_a_user(cls, url: str) -> str:
        """An address under version control is no place for a password; `requests` reads ~/.netrc."""
        if "@" in urlsplit(url).netloc:
            raise ValueError("the address holds a user or a password; leave them out, and name them for this host in ~/.netrc")
        return url


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


class PhrasebookSizes(Values):
    """Pairs of each split that is generated."""

    train: PositiveInt
    valid: PositiveInt
    test: PositiveInt
    compositional: NonNegativeInt = Field(description="known words and constructions in combinations that training never holds")
    longer: NonNegativeInt = Field(description="sentences longer than any in training")


class PhrasebookIntrinsic(Values):
    """Tables of what the words of the text mean, by which representations are measured."""

    sense_occurrences: Annotated[int, Field(gt=0, multiple_of=2)] = Field(
        description="occurrences of each sense of a form that has two, half of them in either fold"
    )
    topic_sentences: Annotated[int, Field(gt=0, multiple_of=3)] = Field(
        description="sentences whose topic is to be told, two thirds of them for training"
    )


class PhrasebookCorpus(Corpus):
    """Text generated from the phrasebook, split as it is made: `splitting` has no part in it."""

    kind: Literal["phrasebook"]
    task: Literal["everyday", "travel"]
    sizes: PhrasebookSizes
    probe_items: Annotated[int, Field(ge=0, multiple_of=2)] = Field(
        description="items of each of the task's probes; they come in twins, so the number is even"
    )
    intrinsic: PhrasebookIntrinsic | None = Field(default=None, description="tables that measure representations")
    seed: NonNegativeInt


AnyCorpus = HubCorpus | UrlCorpus | FilesCorpus | PhrasebookCorpus
CORPUS_KINDS: dict[str, type[AnyCorpus]] = {
    "hub": HubCorpus,
    "url": UrlCorpus,
    "files": FilesCorpus,
    "phrasebook": PhrasebookCorpus,
}
PART_FORMATS: dict[str, type[LinesPart | TablePart]] = {
    "lines": LinesPart,
    "tsv": TsvPart,
    "jsonl": JsonlPart,
    "parquet": ParquetPart,
}


def check_corpus(name: str, values: Mapping[str, Any]) -> AnyCorpus:
    """Build an entry of corpora.yaml, or say in one sentence what is wrong with it."""
    where = f"corpora.yaml: {name}"
    kind = _one_of(CORPUS_KINDS, values, "kind", where)
    parts = values.get("parts")
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        place = f"{where}.parts.{number}"
        read = check(_one_of(PART_FORMATS, part, "format", place), part, place)
        if read.source == read.target:
            raise ConfigError(f"{place}: source and target are both {read.source!r}; give each side its own.")
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
