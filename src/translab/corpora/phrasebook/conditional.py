"""Derivations given what they contain: exactly one of some senses, and none of some others.

Sentences with a certain word are too rare to wait for. Let w(n) be the probability that a derivation of node n has neither a
wanted nor a barred sense, and o(n) that it has exactly one wanted sense and no barred one. Of a leaf both are 0 or 1; an
alternative with probability p and children c₁ … cₖ adds p·∏ w(cᵢ) and p·Σᵢ o(cᵢ)·∏_{j≠i} w(cⱼ). This is the inside
algorithm (Baker, 1979, Trainable grammars for speech recognition) on a grammar without cycles. Choosing alternatives in
proportion to what they add draws from the grammar's own distribution, conditioned exactly.

Shapes: C conditions, A alternatives of a node.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection, Sequence
from math import nextafter, prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from translab.corpora.phrasebook.derivations import Derivation
from translab.corpora.phrasebook.grammar import Alternative, Node

Vector = npt.NDArray[np.float64]


class Condition(NamedTuple):
    """Identities (`id`) of the senses of which exactly one occurs, once, and of those that do not occur."""

    wanted: Collection[int]
    barred: Collection[int]


class Conditional:
    """The derivations of a node under several conditions, which are computed together."""

    def __init__(self, root: Node, conditions: Sequence[Condition]) -> None:
        self._root = root
        self._count = len(conditions)
        self._leaves: dict[int, tuple[Vector, Vector]] = {}
        for number, condition in enumerate(conditions):
            for names, wanted in ((condition.barred, 0.0), (condition.wanted, 1.0)):
                for sense in names:
                    without, once = self._leaves.setdefault(sense, (np.ones(self._count), np.zeros(self._count)))  # [C], [C]
                    without[number], once[number] = 0.0, wanted
        self._nodes: dict[Node, tuple[Vector, Vector]] = {}
        self._sums: dict[Node, tuple[Vector, Vector]] = {}
        self._evaluate(root)

    def probability(self, condition: int) -> float:
        """With what probability the grammar's own derivations meet a condition."""
        return float(self._nodes[self._root][1][condition])

    def draw(self, generator: random.Random, condition: int) -> Derivation:
        """A derivation that meets a condition, which must be possible."""
        return self._draw(self._root, generator, condition, once=True)

    def _evaluate(self, node: Node) -> tuple[Vector, Vector]:
        """w and o of a node, each [C]; the running sums of what its A alternatives add to them are kept, each [C, A]."""
        if node not in self._nodes:
            added = [self._added(alternative) for alternative in node.alternatives]
            without, once = (np.cumsum(np.stack(parts, axis=1), axis=1) for parts in zip(*added, strict=True))  # [C, A], [C, A]
            self._sums[node] = without, once
            self._nodes[node] = without[:, -1], once[:, -1]
        return self._nodes[node]

    def _added(self, alternative: Alternative) -> tuple[Vector, Vector]:
        """What an alternative adds to w and to o of its node, each [C]."""
        if not alternative.outputs and id(alternative.origin) in self._leaves:
            without, once = self._leaves[id(alternative.origin)]
            return alternative.weight * without, alternative.weight * once
        without, once = np.full(self._count, alternative.weight), np.zeros(self._count)
        for child in alternative.children:
            empty, full = self._evaluate(child)
            without, once = without * empty, once * empty + without * full
        return without, once

    def _draw(self, node: Node, generator: random.Random, condition: int, *, once: bool) -> Derivation:
        chosen = node.alternatives[_pick(self._sums[node][once][condition], generator)]
        holder = self._holder(chosen, generator, condition) if once and chosen.children else None
        children = [
            self._draw(child, generator, condition, once=number == holder) for number, child in enumerate(chosen.children)
        ]
        return Derivation(chosen, tuple(children))

    def _holder(self, alternative: Alternative, generator: random.Random, condition: int) -> int:
        """Which child has the wanted sense."""
        pairs = [(without[condition], once[condition]) for without, once in map(self._nodes.__getitem__, alternative.children)]
        shares = [
            once * prod(pairs[other][0] for other in range(len(pairs)) if other != i) for i, (_, once) in enumerate(pairs)
        ]
        return _pick(np.cumsum(shares), generator)


def _pick(sums: Vector, generator: random.Random) -> int:
    """An index by the running sums of weights, never one of weight zero."""
    # `random` is below 1, but its product may round up to the last sum, behind which stand weights of zero.
    last = float(sums[-1])
    return bisect(sums, min(generator.random() * last, nextafter(last, 0.0)))
