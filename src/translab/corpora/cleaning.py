"""Cleaning: what is rewritten in a sentence pair and which pairs are dropped, rule by rule, each rule counted.

Rewriting rules see every pair, in this order:

    invisible            control, zero-width and direction characters removed (tabs and line breaks become spaces)
    unicode              canonical composition (NFC; NFKC would turn Chinese punctuation into ASCII)
    white_space          every run of white space (no-break and ideographic, too) becomes one space; ends are stripped
    simplified_chinese   traditional characters and phrases of a Chinese side become simplified (OpenCC t2s)

Dropping rules, in this order (the first that applies counts):

    empty                a side is empty
    length               a side has fewer or more characters than allowed
    ratio                the sides' lengths are further apart than allowed, in units of the corpus's median ratio
    duplicates           the same pair stood before

Published validation and test sets stay comparable with other work: from them only empty pairs are dropped. Probes are held out
like tests, so that the two items of a twin stay together.

Pairs are Arrow tables with the columns of `readers.SCHEMA`: as Python objects, two million of them would take gigabytes. Text
is rewritten batch by batch; what drops pairs looks at lengths and at numbers that stand for sentences.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from translab.config import Cleaning

CHINESE = "zh"
PROBE = "probe-"
"""What the name of a probe's split begins with."""
ROWS = 50_000
"""Pairs that are Python objects at once."""

_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
# Every code point of the Unicode categories Cc and Cf (format: zero-width, direction, soft hyphen, byte-order mark, tags),
# except what breaks lines. Written once here because asking for the category of each character takes most of the time.
_INVISIBLE = re.compile(
    "["
    + re.escape(
        "".join(
            chr(code)
            for code in (*range(0x10000), *range(0x11000, 0x20000), *range(0xE0000, 0xE1000))
            if unicodedata.category(chr(code)) in ("Cc", "Cf") and chr(code) not in _BREAKS
        )
    )
    + "]"
)
_BREAK = re.compile(f"[{_BREAKS}]")


Counts = dict[str, dict[str, int]]


def clean(pairs: pa.RecordBatchReader, languages: tuple[str, str], values: Cleaning) -> tuple[pa.Table, Counts]:
    """Clean a corpus.

    Args:
        pairs: the raw pairs.
        languages: codes of the source and the target language.
        values: bounds.

    Returns:
        the pairs that are left, in their order; and for each rule `{"changed": n}` or `{"dropped": n}`.
    """
    rules = _rules(values.simplified_chinese)
    counts: Counts = {name: {"changed": 0} for name, _, _ in rules}
    table = pa.Table.from_batches([_rewritten(batch, languages, rules, counts) for batch in pairs], pairs.schema)
    kept = np.ones(len(table), dtype=bool)

    def drop(name: str, refused: NDArray[np.bool_]) -> None:
        counts[name] = {"dropped": int((kept & refused).sum())}
        kept[refused] = False

    source, target = (pc.utf8_length(table[side]).to_numpy() for side in ("source", "target"))
    learned = ~held_out(table)
    drop("empty", (source == 0) | (target == 0))
    low, high = values.minimum_length, values.maximum_length
    drop("length", learned & ((source < low) | (source > high) | (target < low) | (target > high)))
    drop("ratio", learned & _far_apart(source, target, kept, values.maximum_ratio))
    drop("duplicates", _repeated(table, learned & kept))
    return table.filter(kept), counts


def held_out(pairs: pa.Table) -> NDArray[np.bool_]:
    """Which pairs belong to a published validation set, a test set or a probe."""
    found: NDArray[np.bool_] = pc.fill_null(pc.not_equal(pairs["split"], "train"), False).to_numpy()
    return found


def texts(column: pa.ChunkedArray) -> Iterator[list[str]]:
    """A column of texts, some at a time."""
    for batch in pa.table([column], ["text"]).to_batches(ROWS):
        yield batch.column(0).to_pylist()


def numbered(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each value, the same for equal values, from 0 in the order of first appearance."""
    chunks = [chunk.indices.to_numpy() for chunk in column.dictionary_encode().chunks]
    return np.concatenate([np.empty(0, dtype=np.int64), *chunks])


def rewritten(sentences: list[str], language: str, simplified_chinese: bool) -> list[str]:
    """Sentences of a language after all rewriting rules; nothing may be left of one."""
    for _, rule, applies in _rules(simplified_chinese):
        if applies(language):
            sentences = list(map(rule, sentences))
    return sentences


Rule = tuple[str, Callable[[str], str], Callable[[str], bool]]
"""Its name, what it makes of a text, and whether it applies to a language."""


def _rules(simplified_chinese: bool) -> list[Rule]:
    def every(_: str) -> bool:
        return True

    rules: list[Rule] = [
        ("invisible", _without_invisible, every),
        ("unicode", _composed, every),
        ("white_space", lambda text: " ".join(text.split()), every),
    ]
    if simplified_chinese:
        rules.append(("simplified_chinese", simplified, lambda language: language == CHINESE))
    return rules


def _rewritten(batch: pa.RecordBatch, languages: tuple[str, str], rules: list[Rule], counts: Counts) -> pa.RecordBatch:
    """A batch after the rewriting rules; what the target is compared with is rewritten like the target."""
    sides = {"source": languages[0], "target": languages[1], "wrong": languages[1], "translations": languages[1]}
    columns = {name: batch.column(name).to_pylist() for name in sides if batch.column(name).null_count < len(batch)}
    for name, rule, applies in rules:
        changed: set[int] = set()
        for side, before in columns.items():
            if applies(sides[side]):
                after = [rule(value) if isinstance(value, str) else _each(rule, value) for value in before]
                columns[side] = after
                if after != before:
                    changed.update(row for row, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)
        counts[name]["changed"] += len(changed)
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else batch.column(field.name)
        for field in batch.schema
    ]
    return pa.record_batch(arrays, schema=batch.schema)


def _each(rule: Callable[[str], str], value: list[str] | None) -> list[str] | None:
    return None if value is None else list(map(rule, value))


def _far_apart(source: NDArray[Any], target: NDArray[Any], kept: NDArray[np.bool_], maximum: float) -> NDArray[np.bool_]:
    """Which of the pairs that are kept so far have lengths too far apart."""
    refused = np.zeros(len(kept), dtype=bool)
    if kept.any():
        ratios = target[kept] / source[kept]
        ratios /= np.median(ratios)
        refused[kept] = np.maximum(ratios, 1 / ratios) > maximum
    return refused


def _repeated(pairs: pa.Table, looked_at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the pairs that are looked at stood before."""
    source, target = (numbered(pairs[side])[looked_at] for side in ("source", "target"))
    _, first = np.unique(source * len(pairs) + target, return_index=True)
    repeated = np.ones(len(source), dtype=bool)
    repeated[first] = False
    refused = np.zeros(len(pairs), dtype=bool)
    refused[looked_at] = repeated
    return refused


def _without_invisible(text: str) -> str:
    # Printable text holds neither; most text is.
    return text if text.isprintable() else _INVISIBLE.sub("", _BREAK.sub(" ", text))


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def simplified(text: str) -> str:
    """Traditional Chinese → simplified; text without a traditional character is returned as it is.

    >>> simplified("他學過德語嗎？")
    '他学过德语吗？'
    """
    convert, traditional, simple, phrases = _opencc()
    if traditional.isdisjoint(text):
        return text
    return convert(text) if phrases.search(text) else text.translate(simple)


@cache
def _opencc() -> tuple[Callable[[str], str], frozenset[str], dict[int, str], re.Pattern[str]]:
    """OpenCC's t2s conversion, which takes up to 0.3 ms a sentence, and what spares it.

    The characters without which it changes nothing; what it makes of each character where none of its phrases stands; these.
    """
    import opencc

    folder = Path(opencc.__file__).parent / "dictionary"
    characters, phrases = (
        dict(line.split("\t") for line in (folder / name).read_text(encoding="utf-8").splitlines())
        for name in ("TSCharacters.txt", "TSPhrases.txt")
    )
    # A phrase is found by the traditional characters in it, or by its first character if it has none (沈船).
    others = {key[0] for key, value in phrases.items() if key != value and characters.keys().isdisjoint(key)}
    simple = {ord(key): value.split(" ")[0] for key, value in characters.items()}
    found = re.compile("|".join(map(re.escape, phrases)))
    return opencc.OpenCC("t2s").convert, frozenset(characters) | others, simple, found
