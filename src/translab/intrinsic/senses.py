"""Does a vector tell the senses of one form apart: is an occurrence nearer to those in its own sense than to the others?

After Peters et al. 2018, "Deep Contextualized Word Representations", section 5.3, where a word takes the sense whose average
representation is nearest. The occurrences lie in two folds that share no clue word and no construction within a form
(corpora/phrasebook), and an occurrence is only compared with those of the other fold, so that being alike in clue or
construction is no help: what is left to share is the sense. For an occurrence x in one fold, over the other fold's occurrences
that are written alike (`bats` with `bats`: inflection is not what is asked for),

    score(x) = mean cos(x, y: first sense) − mean cos(x, y: second sense)

and the AUC is how often an occurrence in the first sense scores above one in the second; the mean of both folds is the form's.

    contextual     the states at the word's types, mean
    static         the word's static vector: equal where it is written alike, so that every score is 0 and the AUC 0.5
    context_mean   the mean of the static vectors of the sentence's other types: what a bag of words knows of the sense

A form also has the cosine of its two senses, between the mean contextual vectors of either:

    cosine           of the vectors as they are. These all lie in a narrow cone (Ethayarajh 2019, "How Contextual are
                     Contextualized Word Representations?", section 4.1), so that even unrelated words have a high cosine
    cosine_centred   after the mean over all occurrences of all forms was subtracted

Shapes: N occurrences · D width · P occurrences of one fold, Q of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
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
from translab.intrinsic.vectors import DECIMALS, contextual_vectors, cosines, static_vectors
from translab.pretraining.objective import Contextual

SHOWN = "bat"
"""The form that the figure shows for every method, chosen for its unlike senses, not for its figures; without it the first."""


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

    def only(self, forms: Collection[str]) -> Occurrences:
        """The occurrences of some forms."""
        rows = [row for row, form in enumerate(self.forms) if form in forms]
        return Occurrences(*([getattr(self, field.name)[row] for row in rows] for field in fields(self)))

    def types(self, row: int) -> list[int]:
        """The types of an occurrence's word."""
        return [self.sentences[row][place] for place in self.positions[row]]

    def shown(self) -> str:
        """The form that is drawn."""
        return SHOWN if SHOWN in self.forms else self.forms[0]


def read_occurrences(path: Path, tokenizer: Tokenizer, longest: int) -> Occurrences:
    """Read `senses.parquet`; forms that cannot be judged, for want of occurrences that are written alike, are left out.

    Args:
        path: the file.
        tokenizer: of the sentences' language.
        longest: types that the model has room for.

    Raises:
        EvaluationError: if a sentence is too long for the model, or no form can be judged.
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
    forms = [
        form for form in dict.fromkeys(found.forms) if all(mine.any() and not mine.all() for *_, mine in _folds(found, form))
    ]
    if not forms:
        raise EvaluationError(
            f"{path}: no form has occurrences of both senses, written alike, in both folds, 0 and 1; "
            f"give each sense more occurrences (`sense_occurrences` in corpora.yaml)."
        )
    return found.only(forms)


def separation(occurrences: Occurrences, vectors: Tensor) -> dict[str, float]:
    """AUC of each form, given the occurrences' vectors [N, D]."""
    found = {}
    for form in dict.fromkeys(occurrences.forms):
        areas = []
        for queries, others, comparable, mine in _folds(occurrences, form):
            similarity = cosines(vectors[queries], vectors[others])  # [P, Q]
            means = [(similarity * sense).sum(1) / sense.sum(1) for sense in comparable]
            scores = np.round(means[0] - means[1], DECIMALS)  # [P]
            areas.append(auc(scores[mine], scores[~mine]))
        found[form] = sum(areas) / len(areas)
    return found


def opposition(occurrences: Occurrences, vectors: Tensor) -> dict[str, dict[str, float]]:
    """The cosine of each form's two senses, raw and centred, given the occurrences' vectors [N, D]."""
    return {
        "cosine": _between_senses(occurrences, vectors),
        "cosine_centred": _between_senses(occurrences, vectors - vectors.mean(0)),
    }


def _between_senses(occurrences: Occurrences, vectors: Tensor) -> dict[str, float]:
    found = {}
    for form in dict.fromkeys(occurrences.forms):
        rows = occurrences.rows(form)
        senses = dict.fromkeys(occurrences.senses[row] for row in rows)
        one, other = (vectors[[row for row in rows if occurrences.senses[row] == sense]].mean(0) for sense in senses)
        found[form] = float(cosines(one[None], other[None])[0, 0])
    return found


def _folds(
    occurrences: Occurrences, form: str
) -> Iterator[tuple[list[int], list[int], tuple[NDArray[Any], NDArray[Any]], NDArray[Any]]]:
    """Each fold of a form against the other.

    Yields:
        the rows that are asked for: those which the other fold has in both senses, written alike; the rows of the other fold;
        for each sense, which of these each row is compared with, [P, Q]; and which rows have the first sense, [P].
    """
    rows = occurrences.rows(form)
    first = occurrences.senses[rows[0]]
    spellings: dict[tuple[int, ...], int] = {}
    written = {row: spellings.setdefault(tuple(occurrences.types(row)), len(spellings)) for row in rows}
    for fold in (0, 1):
        asked = [row for row in rows if occurrences.folds[row] == fold]
        others = [row for row in rows if occurrences.folds[row] != fold]
        is_first = np.array([occurrences.senses[row] == first for row in others], dtype=bool)  # [Q]
        alike = np.equal.outer([written[row] for row in asked], [written[row] for row in others])  # of both folds
        known = (alike & is_first).any(1) & (alike & ~is_first).any(1)  # [P]
        queries = [row for row, is_known in zip(asked, known, strict=True) if is_known]
        mine = np.array([occurrences.senses[row] == first for row in queries], dtype=bool)
        yield queries, others, (alike[known] & is_first, alike[known] & ~is_first), mine


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
    """The shown form's vectors [N, D] on their two principal components, a row for each occurrence in its usual spelling."""
    rows = occurrences.rows(occurrences.shown())
    spellings = [tuple(occurrences.types(row)) for row in rows]
    usual = max(spellings, key=spellings.count)
    rows = [row for row, spelling in zip(rows, spellings, strict=True) if spelling == usual]
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
