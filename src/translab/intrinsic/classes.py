"""Are words of one class nearer to each other than words of two classes? AUC of the cosine over all pairs of words.

Only words that are one type of the vocabulary are asked for: words that share types look alike even to the null method, whose
vectors have nothing in common. At that method the AUC is 0.5, all cosines being 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from translab.intrinsic.auc import auc
from translab.intrinsic.vectors import cosines, static_vectors
from translab.intrinsic.words import Word


def class_separation(table: Tensor, words: Sequence[Word], classes: Mapping[str, str]) -> dict[str, Any] | None:
    """AUC with how many words and classes it rests on; None if no pair shares a class, or all do.

    Args:
        table: vectors of the types, [V, D].
        words: of the training text.
        classes: the class of each word that is asked for.
    """
    asked = [word for word in words if word.text in classes and word.whole]
    labels = np.array([classes[word.text] for word in asked])  # [N]
    one, other = np.triu_indices(len(asked), k=1)
    same = labels[one] == labels[other]
    if not same.any() or same.all():
        return None
    vectors = static_vectors(table, [word.types for word in asked])  # [N, D]
    similarity = cosines(vectors, vectors)[one, other]
    return {"auc": auc(similarity[same], similarity[~same]), "words": len(asked), "classes": len(set(labels.tolist()))}
