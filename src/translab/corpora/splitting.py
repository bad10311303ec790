"""Splitting without leaks: sentences that share a side stay together.

Two pairs are neighbours if their sources, or their targets, are equal after normalisation (case, compatibility forms,
punctuation and white space do not count), or if their corpus gives them the same group. The connected components of this graph
are found by union-find and dealt out whole: test first, then validation, and training gets the rest. A split by line would leak
instead: where "Run!" has four translations, three of them stand in training when the fourth is tested.

Components are walked in the order of a hash of the seed and of a component's own text, so each has the same chance per seed,
and one more pair elsewhere does not reshuffle the others. A component larger than what a set still needs is passed over, so
sizes are exact wherever enough small components exist. All pairs of a held-out component are kept: a source with two
translations is two test lines, as in the corpus.

A corpus with published splits keeps them. Its tests and probes are never touched; validation pairs that share a side with one
of these, and training pairs that share a side with any of them, are dropped and counted.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from translab.config import ConfigError, Splitting
from translab.corpora.cleaning import Pair

Splits = dict[str, list[Pair]]
"""`train`, `valid`, `test`, and further published tests (`test-2017`) and probes (`probe-word-order`)."""


class _Ignored(dict[int, int | None]):
    """Translation table that deletes punctuation, separators, and control and format characters."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "PZC" else code
        return self[code]


_IGNORED = _Ignored()


def normalised(text: str) -> str:
    """What two sentences are compared by; a sentence of punctuation alone stands for itself.

    >>> normalised("Don’t  STOP!"), normalised("dont stop")
    ('dontstop', 'dontstop')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_IGNORED) or text


def components(pairs: Sequence[Pair]) -> list[int]:
    """The connected component of each pair, numbered from 0 in the order of first appearance."""
    parents = list(range(len(pairs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, pair in enumerate(pairs):
        keys = [("source", normalised(pair.source)), ("target", normalised(pair.target))]
        if pair.group is not None:
            keys.append(("group", pair.group))
        for key in keys:
            parents[root(index)] = root(first.setdefault(key, index))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(index), len(numbers)) for index in range(len(pairs))]


def split(pairs: Sequence[Pair], sizes: Splitting, corpus: str) -> Splits:
    """Deal components out to test, validation and training.

    Args:
        pairs: cleaned pairs without published splits.
        sizes: of the held-out sets, and the seed.
        corpus: its name, for errors.

    Returns:
        the splits, each in the order of `pairs`; a pair without a group is given its component as one.

    Raises:
        ConfigError: if the corpus is too small.
    """
    numbers = components(pairs)
    if sizes.test + sizes.valid >= len(pairs):
        raise ConfigError(
            f"{corpus} has {len(pairs):,} pairs after cleaning, too few for {sizes.test:,} test and {sizes.valid:,} validation "
            "pairs; lower splitting.test and splitting.valid in params.yaml."
        )
    weights = Counter(numbers)
    wanted = {"test": sizes.test, "valid": sizes.valid}
    where: dict[int, str] = {}
    for component in _shuffled(pairs, numbers, sizes.seed):
        for name, left in wanted.items():
            if weights[component] <= left:
                wanted[name] -= weights[component]
                where[component] = name
                break
    splits: Splits = {"train": [], "valid": [], "test": []}
    for pair, component in zip(pairs, numbers, strict=True):
        grouped = pair._replace(group=str(component)) if pair.group is None else pair
        splits[where.get(component, "train")].append(grouped)
    for name, found in splits.items():
        if not found:
            largest = max(weights.values())
            raise ConfigError(
                f"{corpus}: no pair is left for {name}: repeated sentences join the corpus into {len(weights):,} components, "
                f"the largest of {largest:,} pairs, which are dealt out whole; change splitting in params.yaml, or the corpus."
            )
    return splits


def _shuffled(pairs: Sequence[Pair], numbers: Sequence[int], seed: int) -> list[int]:
    texts: dict[int, str] = {}
    for pair, component in zip(pairs, numbers, strict=True):
        text = f"{pair.source}\t{pair.target}"
        texts[component] = min(texts.get(component, text), text)
    keys = {component: hashlib.blake2b(f"{seed}\t{text}".encode(), digest_size=8).digest() for component, text in texts.items()}
    return sorted(keys, key=lambda component: (keys[component], component))


def published(pairs: Iterable[Pair]) -> tuple[Splits, dict[str, int]]:
    """The published splits of a corpus, without what would leak.

    Returns:
        the splits; and how many pairs were dropped: `train` (shared a side with what is held out), `valid` (with a test or a
        probe).
    """
    splits: Splits = defaultdict(list)
    for pair in pairs:
        assert pair.split is not None, "a corpus with published splits names one for every pair"
        splits[pair.split].append(pair)
    tests = [pair for name, members in splits.items() if name not in ("train", "valid") for pair in members]
    dropped = {}
    splits["valid"], dropped["valid"] = _without(splits["valid"], tests)
    splits["train"], dropped["train"] = _without(splits["train"], [*tests, *splits["valid"]])
    ordered = sorted(splits, key=lambda name: (name != "train", name != "valid", name))
    everything = [pair for name in ordered for pair in splits[name]]
    numbers = iter(components(everything))
    return {name: [_in_group(pair, numbers) for pair in splits[name]] for name in ordered}, dropped


def _in_group(pair: Pair, numbers: Iterator[int]) -> Pair:
    component = next(numbers)
    return pair if pair.group is not None else pair._replace(group=str(component))


def _without(pairs: list[Pair], others: Iterable[Pair]) -> tuple[list[Pair], int]:
    sources: set[str] = set()
    targets: set[str] = set()
    for pair in others:
        sources.add(normalised(pair.source))
        targets.add(normalised(pair.target))
    kept = [pair for pair in pairs if normalised(pair.source) not in sources and normalised(pair.target) not in targets]
    return kept, len(pairs) - len(kept)


def without_held_out(
    pairs: list[Pair], languages: tuple[str, str], other: Splits, other_languages: tuple[str, str]
) -> tuple[list[Pair], int]:
    """The pairs of A that share no sentence with the validation set, the tests and the probes of B.

    Sides are compared wherever their languages are equal, whichever side they are: English–French and English–Chinese share
    sources; German–English and English–Chinese share the English, once a target and once a source.

    Returns:
        the pairs that are left, and how many were dropped; where one item of a probe's twin is dropped, so is the other.
    """
    held_out = held_out_sentences(other, other_languages)
    refused = [held_out.get(language, set()) for language in languages]
    kept = [pair for pair in pairs if normalised(pair.source) not in refused[0] and normalised(pair.target) not in refused[1]]
    items = Counter(pair.twin for pair in kept)
    kept = [pair for pair in kept if pair.twin is None or items[pair.twin] == 2]
    return kept, len(pairs) - len(kept)


def held_out_sentences(splits: Splits, languages: tuple[str, str]) -> dict[str, set[str]]:
    """Normalised sentences of the validation set, the tests and the probes, by language."""
    sentences: dict[str, set[str]] = {language: set() for language in languages}
    for name, pairs in splits.items():
        if name != "train":
            for pair in pairs:
                sentences[languages[0]].add(normalised(pair.source))
                sentences[languages[1]].add(normalised(pair.target))
    return sentences
