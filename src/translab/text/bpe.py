"""Byte-pair encoding over characters (Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword
Units", section 3.2), trained with the `tokenizers` library.

Deviation from the paper: a space is kept as the character `▁` in front of its word instead of an end-of-word mark, so that text
survives encoding and decoding unchanged; punctuation and single digits are words of their own. Text without spaces (Chinese) is
cut at punctuation alone, so that frequent words of several characters become types. A character that training never saw becomes
[UNK].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from translab.config import ConfigError

SPECIALS = ("[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "[CLS]", "[SEP]")
PAD, UNK, START, END, MASK, CLS, SEP = range(len(SPECIALS))
SPACE = "▁"
"""Stands for the space before a word."""


def train(texts: Iterable[str], types: int, where: str) -> Tokenizer:
    """Learn a vocabulary of exactly `types` types, specials included.

    Args:
        texts: training sentences, and no others.
        types: size of the vocabulary.
        where: the value's name, for the error (`params.yaml: text.source_types`).

    Raises:
        ConfigError: if `types` has no room for the text's characters, or the text has no more pairs to merge.
    """
    texts = list(texts)
    characters = {character for text in texts for character in text if not character.isspace()} | {SPACE}
    least = len(SPECIALS) + len(characters)
    if types < least:
        raise ConfigError(
            f"{where} is {types}, but the training text has {len(characters)} different characters and there are "
            f"{len(SPECIALS)} special types; give at least {least}."
        )
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    # Text that happens to contain "[END]" is text, not the special type.
    tokenizer.encode_special_tokens = True
    trainer = trainers.BpeTrainer(vocab_size=types, special_tokens=list(SPECIALS), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found != types:
        raise ConfigError(f"{where} is {types}, but the training text has only {found} types to offer; give at most {found}.")
    return tokenizer


def load(path: Path | str) -> Tokenizer:
    """Read a vocabulary written by `Tokenizer.save`."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Types of each text, without specials."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def decode(tokenizer: Tokenizer, sequences: Sequence[Sequence[int]]) -> list[str]:
    """Text of each sequence; specials are left out."""
    return [str(text) for text in tokenizer.decode_batch([list(ids) for ids in sequences], skip_special_tokens=True)]


def describe(tokenizer: Tokenizer, training: Sequence[str], heldout: Sequence[str]) -> dict[str, float | int]:
    """Size, fertility and coverage of a vocabulary.

    Returns:
        `types`: its size; `fertility`: types per word of the training text, and `characters_per_type` (the measure that has a
        meaning without spaces too); `coverage`: the share of held-out types that are not [UNK].
    """
    ids = encode(tokenizer, training)
    total = sum(map(len, ids))
    heldout_ids = [token for sequence in encode(tokenizer, heldout) for token in sequence]
    unknown = sum(token == UNK for token in heldout_ids)
    return {
        "types": tokenizer.get_vocab_size(),
        "fertility": round(total / sum(len(text.split()) for text in training), 4),
        "characters_per_type": round(sum(len(text.replace(" ", "")) for text in training) / total, 4),
        "coverage": round(1 - unknown / max(1, len(heldout_ids)), 6),
    }
