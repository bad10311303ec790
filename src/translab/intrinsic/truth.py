"""Sentences of the phrasebook's truth in a vocabulary's types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from translab.evaluation.errors import EvaluationError


def encoded(path: Path, texts: Sequence[str], tokenizer: Tokenizer, longest: int) -> list[Encoding]:
    """Each text in types.

    Args:
        path: the file that they come from, for the error.
        texts: the sentences.
        tokenizer: of their language.
        longest: types that the model has room for.

    Raises:
        EvaluationError: if a sentence is too long for the model.
    """
    found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    for text, encoding in zip(texts, found, strict=True):
        if len(encoding.ids) > longest:
            raise EvaluationError(
                f"{path}: `{text}` has {len(encoding.ids)} types, but the model has room for {longest} beside its specials; "
                f"raise model.maximum_length."
            )
    return list(found)
