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
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from translab.config import Cleaning

CHINESE = "zh"
PROBE = "probe-"
"""What the name of a probe's split begins with."""

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
_WHITE_SPACE = re.compile(r"\s+")


class Pair(NamedTuple):
    """One sentence pair on its way from raw to split."""

    source: str
    target: str
    group: str | None
    tag: str | None
    split: str | None
    wrong: str | None = None
    translations: list[str] | None = None

    @property
    def held_out(self) -> bool:
        """Whether the pair belongs to a published validation set, a test set or a probe."""
        return self.split is not None and self.split != "train"

    @property
    def twin(self) -> str | None:
        """What the two items of a probe have in common; nothing for other pairs."""
        return f"{self.split} {self.group}" if self.split is not None and self.split.startswith(PROBE) else None


Counts = dict[str, dict[str, int]]


def clean(pairs: Iterable[Pair], languages: tuple[str, str], values: Cleaning) -> tuple[list[Pair], Counts]:
    """Clean a corpus.

    Args:
        pairs: the raw pairs.
        languages: codes of the source and the target language.
        values: bounds.

    Returns:
        the pairs that are left, in their order; and for each rule `{"changed": n}` or `{"dropped": n}`.
    """
    counts: Counts = {}
    kept = _rewrite(list(pairs), languages, values, counts)
    kept = _drop(kept, "empty", lambda pair: not (pair.source and pair.target), counts, held_out=True)
    lengths = range(values.minimum_length, values.maximum_length + 1)
    kept = _drop(kept, "length", lambda pair: len(pair.source) not in lengths or len(pair.target) not in lengths, counts)
    kept = _drop(kept, "ratio", _far_apart(kept, values.maximum_ratio), counts)
    seen: set[tuple[str, str]] = set()

    def repeated(pair: Pair) -> bool:
        before = len(seen)
        seen.add((pair.source, pair.target))
        return len(seen) == before

    kept = _drop(kept, "duplicates", repeated, counts)
    return kept, counts


def _rewrite(pairs: list[Pair], languages: tuple[str, str], values: Cleaning, counts: Counts) -> list[Pair]:
    rules: list[tuple[str, Callable[[str], str], tuple[bool, bool]]] = [
        ("invisible", _without_invisible, (True, True)),
        ("unicode", lambda text: unicodedata.normalize("NFC", text), (True, True)),
        ("white_space", lambda text: _WHITE_SPACE.sub(" ", text).strip(), (True, True)),
    ]
    if values.simplified_chinese:
        rules.append(("simplified_chinese", simplified, (languages[0] == CHINESE, languages[1] == CHINESE)))
    for name, rule, (on_source, on_target) in rules:
        changed = 0
        for index, pair in enumerate(pairs):
            rewritten = pair._replace(source=rule(pair.source)) if on_source else pair
            rewritten = _with_target(rewritten, rule) if on_target else rewritten
            if rewritten != pair:
                changed += 1
                pairs[index] = rewritten
        counts[name] = {"changed": changed}
    return pairs


def _with_target(pair: Pair, rule: Callable[[str], str]) -> Pair:
    """The pair with its target rewritten, and what the target is compared with."""
    return pair._replace(
        target=rule(pair.target),
        wrong=None if pair.wrong is None else rule(pair.wrong),
        translations=None if pair.translations is None else [rule(text) for text in pair.translations],
    )


def _drop(pairs: list[Pair], name: str, refused: Callable[[Pair], bool], counts: Counts, held_out: bool = False) -> list[Pair]:
    kept = [pair for pair in pairs if (pair.held_out and not held_out) or not refused(pair)]
    counts[name] = {"dropped": len(pairs) - len(kept)}
    return kept


def _far_apart(pairs: list[Pair], maximum: float) -> Callable[[Pair], bool]:
    ratios = [len(pair.target) / len(pair.source) for pair in pairs]
    median = statistics.median(ratios) if ratios else 1.0

    def refused(pair: Pair) -> bool:
        ratio = len(pair.target) / len(pair.source) / median
        return max(ratio, 1 / ratio) > maximum

    return refused


def _without_invisible(text: str) -> str:
    return _INVISIBLE.sub("", _BREAK.sub(" ", text))


def simplified(text: str) -> str:
    """Traditional Chinese → simplified; text without a traditional character is returned as it is.

    >>> simplified("他學過德語嗎？")
    '他学过德语吗？'
    """
    convert, traditional = _opencc()
    return text if traditional.isdisjoint(text) else convert(text)


@cache
def _opencc() -> tuple[Callable[[str], str], frozenset[str]]:
    """OpenCC's t2s conversion, and the characters without which it changes nothing (it takes up to 0.3 ms a sentence)."""
    import opencc

    folder = Path(opencc.__file__).parent / "dictionary"
    characters, phrases = (
        dict(line.split("\t") for line in (folder / name).read_text(encoding="utf-8").splitlines())
        for name in ("TSCharacters.txt", "TSPhrases.txt")
    )
    # A phrase is found by the traditional characters in it, or by its first character if it has none (沈船).
    others = {key[0] for key, value in phrases.items() if key != value and characters.keys().isdisjoint(key)}
    return opencc.OpenCC("t2s").convert, frozenset(characters) | others
