"""Byte-pair encoding over characters (Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword
Units", section 3.2), trained with the `tokenizers` library.

Deviation from the paper: a space is kept as the character `▁` in front of its word instead of an end-of-word mark, so that text
survives encoding and decoding unchanged; punctuation and single digits are words of their own. Text without spaces (Chinese) is
cut at punctuation alone, so that frequent words of several characters become types. A character that training never saw becomes
[UNK].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from translab.config import ConfigError

SPECIALS = ("[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "[CLS]", "[SEP]")
PAD, UNK, START, END, MASK, CLS, SEP = range(len(SPECIALS))
SPACE = "▁"
"""Stands for the space before a word."""
BATCH = 20_000
"""Texts that are looked at at once."""
CUT = "\x1f"
"""Marks in text where no type reaches across; cleaned text has no control characters."""


def train(texts: Iterable[str], types: int, where: str) -> Tokenizer:
    """Learn a vocabulary of exactly `types` types, specials included.

    The trainer keeps every different word in memory with what its characters stand beside; a Chinese sentence is a word or two,
    so two million would take many gigabytes. Where two characters stand together more seldom than the last type that is
    learned, no type reaches from one to the other, so that a word may be cut there, and cut words are few. How often that is,
    is not known before; it is guessed, and if the last type shows that the guess was too high, all is learned again with half.

    Args:
        texts: training sentences, and no others; they are gone through several times.
        types: size of the vocabulary.
        where: the value's name, for the error (`params.yaml: text.source_types`).

    Raises:
        ConfigError: if `types` has no room for the text's characters, or the text has no more pairs to merge.
    """
    characters = {SPACE}
    for text in texts:
        characters.update(text)
    characters = {character for character in characters if not character.isspace()}
    least = len(SPECIALS) + len(characters)
    if types < least:
        raise ConfigError(
            f"{where} is {types}, but the training text has {len(characters)} different characters and there are "
            f"{len(SPECIALS)} special types; give at least {least}."
        )
    neighbours, times = _neighbours(texts)
    merges = types - least
    # A type of three characters takes two of their neighbourhoods, so not all of the `merges` most frequent become types.
    seldom = int(np.sort(times)[-2 * merges]) if 0 < 2 * merges <= len(times) else 0
    while True:
        tokenizer = _learned(texts, types, neighbours[times < seldom])
        found = tokenizer.get_vocab_size()
        if not seldom or (found == types and _reaches(tokenizer, texts, types - 1, seldom)):
            break
        seldom //= 2
    if found != types:
        raise ConfigError(f"{where} is {types}, but the training text has only {found} types to offer; give at most {found}.")
    return tokenizer


def _learned(texts: Iterable[str], types: int, apart: NDArray[np.int64]) -> Tokenizer:
    """A vocabulary of texts that are cut between the neighbours `apart`."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    words = [
        pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
        pre_tokenizers.Punctuation("isolated"),
        pre_tokenizers.Digits(individual_digits=True),
    ]
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    # Text that happens to contain "[END]" is text, not the special type.
    tokenizer.encode_special_tokens = True
    trainer = trainers.BpeTrainer(vocab_size=types, special_tokens=list(SPECIALS), show_progress=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*words, pre_tokenizers.Split(CUT, "removed")] if len(apart) else words)
    tokenizer.train_from_iterator((_cut(batch, apart) for batch in batches(texts)) if len(apart) else texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(words)
    return tokenizer


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts, some at a time."""
    left = iter(texts)
    while batch := list(islice(left, BATCH)):
        yield batch


def _side_by_side(texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code points of texts that are joined by line breaks, and a number for each two that stand together in a word.

    The number is 0 where one of them ends a word, or marks its beginning.
    """
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    ends = np.isin(codes, [ord(character) for character in f"\n {SPACE}"])
    return codes, np.where(ends[:-1] | ends[1:], 0, codes[:-1] << 21 | codes[1:])


def _neighbours(texts: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of neighbours, and how often each occurs."""
    found, times = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for batch in batches(texts):
        here, often = np.unique(_side_by_side(batch)[1], return_counts=True)
        found, place = np.unique(np.concatenate([found, here]), return_inverse=True)
        times = np.bincount(place, weights=np.concatenate([times, often]), minlength=len(found)).astype(np.int64)
    return found[found > 0], times[found > 0]


def _cut(texts: list[str], apart: NDArray[np.int64]) -> list[str]:
    codes, pairs = _side_by_side(texts)
    places = np.minimum(np.searchsorted(apart, pairs), len(apart) - 1)
    cuts = np.flatnonzero(apart[places] == pairs) + 1
    return np.insert(codes, cuts, ord(CUT)).astype(np.uint32).tobytes().decode("utf-32-le").split("\n")


def _reaches(tokenizer: Tokenizer, texts: Iterable[str], last: int, times: int) -> bool:
    """Whether a type occurs at least so often."""
    for batch in batches(texts):
        times -= sum(ids.count(last) for ids in encode(tokenizer, batch))
        if times <= 0:
            return True
    return False


def load(path: Path | str) -> Tokenizer:
    """Read a vocabulary written by `Tokenizer.save`."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> list[list[int]]:
    """Types of each text, without specials."""
    return [
        encoding.ids for batch in batches(texts) for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)
    ]


def decode(tokenizer: Tokenizer, sequences: Sequence[Sequence[int]]) -> list[str]:
    """Text of each sequence; specials are left out."""
    return [str(text) for text in tokenizer.decode_batch([list(ids) for ids in sequences], skip_special_tokens=True)]


def describe(tokenizer: Tokenizer, training: Iterable[str], heldout: Iterable[str]) -> dict[str, float | int]:
    """Size, fertility and coverage of a vocabulary.

    Returns:
        `types`: its size; `fertility`: types per word of the training text, and `characters_per_type` (the measure that has a
        meaning without spaces too); `coverage`: the share of held-out types that are not [UNK].
    """
    total = words = characters = 0
    for batch in batches(training):
        # A space begins a word, so each different piece that begins with one is encoded once.
        pieces = Counter(piece for text in batch for piece in text.replace(" ", f"{CUT} ").split(CUT))
        total += sum(len(ids) * times for ids, times in zip(encode(tokenizer, list(pieces)), pieces.values(), strict=True))
        words += sum(len(text.split()) for text in batch)
        characters += sum(len(text.replace(" ", "")) for text in batch)
    heldout_ids = [token for sequence in encode(tokenizer, heldout) for token in sequence]
    unknown = sum(token == UNK for token in heldout_ids)
    return {
        "types": tokenizer.get_vocab_size(),
        "fertility": round(total / words, 4),
        "characters_per_type": round(characters / total, 4),
        "coverage": round(1 - unknown / max(1, len(heldout_ids)), 6),
    }
