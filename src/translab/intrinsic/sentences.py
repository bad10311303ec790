"""Does a sentence's vector find another view of the same sentence? And how are the vectors spread?

Each query's candidates are the other views of all queries; the nearest by cosine should be its own. With the rank r of the own
one, ties counted against it: P@1 = share of r = 1, MRR = mean of 1 / r. On unit vectors (Wang & Isola 2020, "Understanding
Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere", equations 3 and 4 with α = 2, t = 2):

    alignment  = mean ‖f(x) − f(x⁺)‖²            over the pairs of views; smaller is nearer
    uniformity = ln mean exp(−2 ‖f(x) − f(y)‖²)  over pairs of different queries; smaller is more even

The view is the best that model and text have:

    translation   the sentence's translation, where the model has a tower for each language
    paraphrase    another source of the same translation, where the test set has at least `LEAST_PARAPHRASES` such pairs
    dropout       the same sentence under other dropout: what a dropout-trained encoder learned, and easy. P@1 then says no more
                  than that different sentences have different vectors; alignment and uniformity are what to read

Shapes: N pairs · D width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from translab.intrinsic.vectors import cosines, summary_vectors
from translab.pretraining.objective import Sentences, Summarised
from translab.seeds import stream

CANDIDATES = 1000
LEAST_PARAPHRASES = 100


@runtime_checkable
class Paired(Summarised, Protocol):
    """Gives one vector to a sentence and to its translation, of the same space."""

    def translations(self, sentences: Sentences) -> Tensor:
        """[N, D] of sentences of the other side."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Sentences, each with another view."""

    view: str
    queries: list[list[int]]
    others: list[list[int]]


def pairs(model: Summarised, own: Sequence[list[int]], other: Sequence[list[int]]) -> Pairs:
    """The pairs that a model is asked for; no sentence stands in two of them.

    Args:
        model: with the side that it reads.
        own, other: types of the test set's sentences on the model's side and on the other side.
    """
    unique: dict[tuple[int, ...], tuple[int, ...]] = {}  # of each sentence of the other side, the first of this side
    paraphrases: dict[tuple[int, ...], tuple[tuple[int, ...], tuple[int, ...]]] = {}
    seen: set[tuple[int, ...]] = set()
    for one, translation in zip(map(tuple, own), map(tuple, other), strict=True):
        if one in seen:
            continue
        seen.add(one)
        if translation in unique:
            paraphrases.setdefault(translation, (unique[translation], one))
        else:
            unique[translation] = one
    if isinstance(model, Paired):
        found = "translation", [(one, translation) for translation, one in unique.items()]
    elif len(paraphrases) >= LEAST_PARAPHRASES:
        found = "paraphrase", list(paraphrases.values())
    else:
        found = "dropout", [(one, one) for one in unique.values()]
    view, both = found
    return Pairs(view, [list(query) for query, _ in both[:CANDIDATES]], [list(candidate) for _, candidate in both[:CANDIDATES]])


def retrieval(model: Summarised, network: nn.Module, chosen: Pairs) -> dict[str, Any]:
    """P@1, MRR, alignment and uniformity over at least two pairs.

    Args:
        model: gives the vectors.
        network: the model's; it is in evaluation mode, and is left so.
        chosen: the pairs.
    """
    queries = _vectors(model.summaries, chosen.queries)
    if isinstance(model, Paired):
        candidates = _vectors(model.translations, chosen.others)
    elif chosen.view == "dropout":
        torch.manual_seed(stream(1, "sentences"))
        network.train()
        queries, candidates = (_vectors(model.summaries, side) for side in (chosen.queries, chosen.others))
        network.eval()
    else:
        candidates = _vectors(model.summaries, chosen.others)
    return {**ranking(queries, candidates), **spread(queries, candidates), "candidates": len(candidates), "view": chosen.view}


def _vectors(summaries: Callable[[Sentences], Tensor], sentences: Sequence[list[int]]) -> Tensor:
    """Unit vectors, [N, D]."""
    return functional.normalize(summary_vectors(summaries, sentences), dim=1)


def ranking(queries: Tensor, candidates: Tensor) -> dict[str, float]:
    """P@1 and MRR of queries [N, D] whose own candidates are the same rows of [N, D]."""
    similarity = cosines(queries, candidates)
    ranks = (similarity >= similarity.diagonal()[:, None]).sum(1)  # the own one is as near as itself
    return {"precision_at_1": float((ranks == 1).mean()), "mrr": float((1 / ranks).mean())}


def spread(queries: Tensor, candidates: Tensor) -> dict[str, float]:
    """Alignment and uniformity of unit vectors [N, D] and their other views [N, D]."""
    alignment = (queries - candidates).square().sum(1).mean()
    one, other = np.triu_indices(len(queries), k=1)
    squared = 2 - 2 * (queries @ queries.T).numpy()[one, other]  # of unit vectors
    return {"alignment": float(alignment), "uniformity": math.log(np.exp(-2 * squared).mean())}
