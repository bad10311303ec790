"""The nearest words of some words, by the cosine of their static vectors (Mikolov et al. 2013, "Efficient Estimation of Word
Representations in Vector Space", section 4).

The words that are shown are the most frequent of each word class, or of the text where the corpus knows no classes. Neighbours
are looked for among the most frequent words of the training text. Both are words that are one type of the vocabulary: words
that share types would be neighbours by their spelling. Of equally near words the more frequent comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from translab.intrinsic.vectors import cosines, static_vectors
from translab.intrinsic.words import Word

SHOWN = 16
"""Words at most."""
NEIGHBOURS = 5
CANDIDATES = 2000
LEAST_COUNT = 5
"""Occurrences in training of a word that may be a neighbour."""


def chosen(words: Sequence[Word], classes: Mapping[str, str]) -> list[Word]:
    """The words whose neighbours are shown.

    Args:
        words: of the training text, most frequent first.
        classes: the class of each word, where known.
    """
    whole = [word for word in words if word.whole]
    if not classes:
        return whole[:SHOWN]
    first: dict[str, Word] = {}
    for word in whole:
        if word.text in classes:
            first.setdefault(classes[word.text], word)
    return list(first.values())[:SHOWN]


def neighbours(table: Tensor, words: Sequence[Word], shown: Sequence[Word]) -> dict[str, list[list[object]]]:
    """The nearest words of each shown word with their cosines, nearest first.

    Args:
        table: vectors of the types, [V, D].
        words: of the training text, most frequent first.
        shown: the words to ask for.
    """
    candidates = [word for word in words if word.whole and word.count >= LEAST_COUNT][:CANDIDATES]
    similarity = cosines(  # [shown, candidates]
        static_vectors(table, [word.types for word in shown]), static_vectors(table, [word.types for word in candidates])
    )
    found = {}
    for word, row in zip(shown, similarity, strict=True):
        order = [place for place in np.argsort(-row, kind="stable").tolist() if candidates[place].text != word.text]
        found[word.text] = [[candidates[place].text, float(row[place])] for place in order[:NEIGHBOURS]]
    return found
