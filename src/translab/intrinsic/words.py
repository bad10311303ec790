"""The words of a text, most frequent first, and the types that each is made of.

Where words stand apart a word is a run of letters, with hyphens and apostrophes inside. Chinese and Japanese are written
without spaces: there a type of the vocabulary is the nearest thing to a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from translab.text.bpe import SPECIALS, encode

WITHOUT_SPACES = ("zh", "ja")
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SPACE = "▁"


@dataclass(frozen=True)
class Word:
    """A word of a text."""

    text: str
    count: int
    types: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether the word is one type: words that share types look alike to any model, whatever it learned."""
        return len(self.types) == 1


def words(texts: Sequence[str], tokenizer: Tokenizer, language: str) -> list[Word]:
    """The words of texts, most frequent first, equals in alphabetical order."""
    if language in WITHOUT_SPACES:
        types = Counter(token for ids in encode(tokenizer, texts) for token in ids if token >= len(SPECIALS))
        found: dict[str, Word] = {}
        # The same characters at a sentence's beginning and within are two types: the more frequent one is the word.
        for token, count in types.most_common():
            text = str(tokenizer.id_to_token(token)).removeprefix(SPACE)
            if text.isalpha():
                found.setdefault(text, Word(text, count, (token,)))
        known = list(found.values())
    else:
        counts = Counter(word for text in texts for word in WORD.findall(text))
        known = [Word(*pair, tuple(ids)) for pair, ids in zip(counts.items(), encode(tokenizer, list(counts)), strict=True)]
    return sorted(known, key=lambda word: (-word.count, word.text))
