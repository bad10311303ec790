"""Does a vector tell the senses of one form apart? For each form, the AUC of the cosine of two occurrences: pairs of the same
sense against pairs of different senses.

The occurrences lie in two folds that share no clue word and no construction within a form (corpora/phrasebook). Only pairs
across the folds count, so that being alike in clue or construction is no help: what the pair shares is the sense. And only
pairs that are written alike count (`bats` with `bats`): inflection is not what is asked for.

    contextual     the states at the word's types, mean
    static         the word's static vector: equal where it is written alike, so that every pair is a tie and the AUC 0.5
    context_mean   the mean of the static vectors of the sentence's other types: what a bag of words knows of the sense

Shapes: N occurrences · D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from translab.evaluation.choices import tokens_of_span
from translab.evaluation.errors import EvaluationError
from translab.files import read_table
from translab.intrinsic.auc import auc
from translab.intrinsic.truth import encoded
from translab.intrinsic.vectors import contextual_vectors, cosines, static_vectors
from translab.pretraining.objective import Contextual

SHOWN = "bank"
"""The form that the figure shows for every method, chosen before anything was measured; without it the first."""


@dataclass(frozen=True)
class Occurrences:
    """Occurrences of forms, one a row: columns of equal length."""

    forms: list[str]
    senses: list[str]
    folds: list[int]
    sentences: list[list[int]]
    """Types of each sentence."""
    positions: list[list[int]]
    """Where in the sentence the word's types stand."""

    def rows(self, form: str) -> list[int]:
        """The occurrences of one form."""
        return [row for row, found in enumerate(self.forms) if found == form]

    def types(self, row: int) -> list[int]:
        """The types of an occurrence's word."""
        return [self.sentences[row][place] for place in self.positions[row]]

    def shown(self) -> str:
        """The form that is drawn."""
        return SHOWN if SHOWN in self.forms else self.forms[0]


def read_occurrences(path: Path, tokenizer: Tokenizer, longest: int) -> Occurrences:
    """Read `senses.parquet`.

    Args:
        path: the file.
        tokenizer: of the sentences' language.
        longest: types that the model has room for.

    Raises:
        EvaluationError: if a sentence is too long for the model, or a form lacks pairs of the same or of different senses.
    """
    table = read_table(path).to_pydict()
    encodings = encoded(path, table["source"], tokenizer, longest)
    spans = zip(encodings, table["start"], table["end"], strict=True)
    found = Occurrences(
        table["form"],
        table["sense"],
        table["fold"],
        [encoding.ids for encoding in encodings],
        [tokens_of_span(encoding, start, end) for encoding, start, end in spans],
    )
    for form in dict.fromkeys(found.forms):
        _, _, same, different = _across(found, form)
        if not (same.any() and different.any()):
            raise EvaluationError(
                f"{path}: `{form}` needs pairs of the same and of different senses, written alike, across folds 0 and 1; "
                f"give each sense occurrences in both."
            )
    return found


def separation(occurrences: Occurrences, vectors: Tensor) -> dict[str, float]:
    """AUC of each form, given the occurrences' vectors [N, D]."""
    found = {}
    for form in dict.fromkeys(occurrences.forms):
        one, other, same, different = _across(occurrences, form)
        similarity = cosines(vectors[one], vectors[other])
        found[form] = auc(similarity[same], similarity[different])
    return found


def _across(occurrences: Occurrences, form: str) -> tuple[list[int], list[int], NDArray[Any], NDArray[Any]]:
    """A form's rows in fold 0, those in fold 1, and which pairs of them are of the same and of different senses."""
    rows = occurrences.rows(form)
    one, other = ([row for row in rows if occurrences.folds[row] == fold] for fold in (0, 1))
    words, senses = {row: occurrences.types(row) for row in rows}, occurrences.senses
    pairs = [(words[first] == words[second], senses[first] == senses[second]) for first in one for second in other]
    alike, same = np.array(pairs, dtype=bool).reshape(len(one), len(other), 2).transpose(2, 0, 1)
    return one, other, alike & same, alike & ~same


def sense_vectors(occurrences: Occurrences, model: object, table: Tensor | None) -> dict[str, Tensor | None]:
    """The occurrences' vectors of each of the three kinds, [N, D], or None where the model has none of a kind.

    Args:
        occurrences: of the forms.
        model: perhaps `Contextual`.
        table: static vectors of the types, [V, D].
    """
    sentences, positions = occurrences.sentences, occurrences.positions
    found: dict[str, Tensor | None] = {"contextual": None, "static": None, "context_mean": None}
    if isinstance(model, Contextual):
        found["contextual"] = contextual_vectors(model, sentences, positions)
    if table is not None:
        outside = [
            [token for place, token in enumerate(ids) if place not in places]
            for ids, places in zip(sentences, positions, strict=True)
        ]
        found["static"] = static_vectors(table, [occurrences.types(row) for row in range(len(sentences))])
        found["context_mean"] = static_vectors(table, outside)
    return found


def picture(occurrences: Occurrences, vectors: Tensor) -> pa.Table:
    """The shown form's vectors [N, D] on their two principal components, a row for each occurrence."""
    rows = occurrences.rows(occurrences.shown())
    return pa.table(
        {
            "form": [occurrences.forms[row] for row in rows],
            "sense": [occurrences.senses[row] for row in rows],
            "fold": pa.array([occurrences.folds[row] for row in rows], pa.int64()),
            **dict(zip("xy", principal_components(vectors[rows]).T.tolist(), strict=True)),
        }
    )


def principal_components(vectors: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """Vectors [N, D] on their first two principal components, [N, 2].

    The sign of a component, which is free, is such that its largest weight is positive.
    """
    centred = torch.as_tensor(vectors).double()
    centred = centred - centred.mean(0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]  # [2, D]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    components: Tensor = centred @ (directions * largest.sign()).T
    return components
