"""Splitting without leaks: sentences that share a side stay together.

Two pairs are neighbours if their sources, or their targets, are equal after normalisation (case, compatibility forms,
punctuation and white space do not count), or if their corpus gives them the same group. The connected components of this graph
are dealt out whole: test first, then validation, and training gets the rest. A split by line would leak instead: where "Run!"
has four translations, three of them stand in training when the fourth is tested.

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
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from translab.config import ConfigError, Splitting
from translab.corpora.cleaning import PROBE, numbered, texts

KEYS = {"source": "source_key", "target": "target_key"}
"""The columns, beside those of a pair, that hold what its sides are compared by."""

Splits = dict[str, pa.Table]
"""`train`, `valid`, `test`, and further published tests (`test-2017`) and probes (`probe-word-order`), all with keys."""


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
    if text.isascii():
        return text.lower().translate(_IGNORED) or text
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_IGNORED) or text


def keyed(pairs: pa.Table) -> pa.Table:
    """The pairs with their sides' normalised sentences, in columns of their own."""
    for side, key in KEYS.items():
        pairs = pairs.append_column(key, normalised_column(pairs[side]))
    return pairs


def normalised_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What the sentences of a column are compared by."""
    chunks = [pa.array(map(normalised, batch), pa.large_string()) for batch in texts(column)]
    return pa.chunked_array(chunks, pa.large_string())


def components(pairs: pa.Table) -> NDArray[np.int64]:
    """The connected component of each pair, numbered from 0 in the order of first appearance.

    Args:
        pairs: with keys.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # The nodes of the graph are the sources, the targets and the groups; each pair ties its own together.
    source, target = (numbered(pairs[key]) for key in KEYS.values())
    with_group = pc.is_valid(pairs["group"]).to_numpy()
    group = numbered(pairs["group"].drop_null())
    ends = (
        np.concatenate([source, source[with_group]]).astype(np.int32),
        np.concatenate([target + len(pairs), group + 2 * len(pairs)]).astype(np.int32),
    )
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(3 * len(pairs), 3 * len(pairs)))
    labels = connected_components(graph, directed=False)[1][source]
    return numbered(pa.chunked_array([labels]))


def split(pairs: pa.Table, sizes: Splitting, corpus: str) -> Splits:
    """Deal components out to test, validation and training.

    Args:
        pairs: cleaned pairs without published splits, with keys.
        sizes: of the held-out sets, and the seed.
        corpus: its name, for errors.

    Returns:
        the splits, each in the order of `pairs`; a pair without a group is given its component as one.

    Raises:
        ConfigError: if the corpus is too small.
    """
    if sizes.test + sizes.valid >= len(pairs):
        raise ConfigError(
            f"{corpus} has {len(pairs):,} pairs after cleaning, too few for {sizes.test:,} test and {sizes.valid:,} validation "
            "pairs; lower splitting.test and splitting.valid in params.yaml."
        )
    numbers = components(pairs)
    weights = np.bincount(numbers)
    wanted = {"test": sizes.test, "valid": sizes.valid}
    dealt: dict[str, list[int]] = {name: [] for name in wanted}
    for component in _shuffled(pairs, numbers, weights, sizes.seed):
        for name, left in wanted.items():
            if weights[component] <= left:
                wanted[name] -= int(weights[component])
                dealt[name].append(component)
                break
        if not any(wanted.values()):
            break
    grouped = _in_groups(pairs, numbers)
    rows = {name: np.isin(numbers, dealt[name]) for name in ("valid", "test")}
    rows = {"train": ~(rows["valid"] | rows["test"]), **rows}
    splits = {name: grouped.filter(chosen) for name, chosen in rows.items()}
    for name, found in splits.items():
        if not len(found):
            raise ConfigError(
                f"{corpus}: no pair is left for {name}: repeated sentences join the corpus into {len(weights):,} components, "
                f"the largest of {weights.max():,} pairs, which are dealt out whole; change splitting in params.yaml, or the "
                "corpus."
            )
    return splits


def _shuffled(pairs: pa.Table, numbers: NDArray[np.int64], weights: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The components in the order of their hashes."""
    hashes = np.empty(len(weights), dtype=np.uint64)
    least: dict[int, str] = {}
    alone = (weights == 1)[numbers].tolist()
    row = 0
    for sources, targets in zip(texts(pairs["source"]), texts(pairs["target"]), strict=True):
        for source, target in zip(sources, targets, strict=True):
            text, component = f"{source}\t{target}", int(numbers[row])
            if alone[row]:
                hashes[component] = _hashed(seed, text)
            else:
                least[component] = min(least.get(component, text), text)
            row += 1
    for component, text in least.items():
        hashes[component] = _hashed(seed, text)
    return np.argsort(hashes, kind="stable")


def _hashed(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\t{text}".encode(), digest_size=8).digest())


def _in_groups(pairs: pa.Table, numbers: NDArray[np.int64]) -> pa.Table:
    """The pairs, each without a group in one named after its component."""
    place = pairs.schema.get_field_index("group")
    return pairs.set_column(place, "group", pc.coalesce(pairs["group"], pa.array(numbers).cast(pa.string())))


def published(pairs: pa.Table) -> tuple[Splits, dict[str, int]]:
    """The published splits of a corpus, without what would leak.

    Args:
        pairs: with keys; each names its split.

    Returns:
        the splits; and how many pairs were dropped: `train` (shared a side with what is held out), `valid` (with a test or a
        probe).
    """
    names = sorted({"train", "valid", *pairs["split"].unique().to_pylist()})
    splits = {name: pairs.filter(pc.equal(pairs["split"], name)) for name in names}
    tests = [members for name, members in splits.items() if name not in ("train", "valid")]
    dropped = {}
    splits["valid"], dropped["valid"] = _without(splits["valid"], tests)
    splits["train"], dropped["train"] = _without(splits["train"], [*tests, splits["valid"]])
    ordered = sorted(splits, key=lambda name: (name != "train", name != "valid", name))
    everything = pa.concat_tables([splits[name] for name in ordered])
    everything = _in_groups(everything, components(everything))
    starts = np.cumsum([0, *(len(splits[name]) for name in ordered)]).tolist()
    return {name: everything.slice(start, len(splits[name])) for name, start in zip(ordered, starts, strict=False)}, dropped


def _without(pairs: pa.Table, others: list[pa.Table]) -> tuple[pa.Table, int]:
    shared = [pc.is_in(pairs[key], _together(others, key)) for key in KEYS.values()]
    kept = pairs.filter(pc.invert(pc.or_(*shared)))
    return kept, len(pairs) - len(kept)


def _together(tables: list[pa.Table], column: str) -> pa.Array:
    """The different values of a column in all tables."""
    chunks = [chunk for table in tables for chunk in table[column].chunks]
    return pa.chunked_array(chunks, pa.large_string()).unique()


def without_held_out(
    pairs: pa.Table, languages: tuple[str, str], other: Splits, other_languages: tuple[str, str]
) -> tuple[pa.Table, int]:
    """The pairs of A that share no sentence with the validation set, the tests and the probes of B.

    Sides are compared wherever their languages are equal, whichever side they are: English–French and English–Chinese share
    sources; German–English and English–Chinese share the English, once a target and once a source.

    Returns:
        the pairs that are left, and how many were dropped; where one item of a probe's twin is dropped, so is the other.
    """
    held_out = [members for name, members in other.items() if name != "train"]
    kept = np.ones(len(pairs), dtype=bool)
    for key, language in zip(KEYS.values(), languages, strict=True):
        for other_key, spoken in zip(KEYS.values(), other_languages, strict=True):
            if language == spoken:
                kept &= ~pc.is_in(pairs[key], _together(held_out, other_key)).to_numpy()
    items = kept & pc.fill_null(pc.starts_with(pairs["split"], PROBE), False).to_numpy()
    twins: list[Any] = [tuple(item.values()) for item in pairs.select(["split", "group"]).filter(items).to_pylist()]
    sizes = Counter(twins)
    kept[items] = [sizes[twin] == 2 for twin in twins]
    return pairs.filter(kept), len(pairs) - int(kept.sum())
