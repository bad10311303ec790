"""One effect from several machines that trained other seeds: random effects.

Machine i found the contrast y_i with the standard error s_i, of which the test sentences give e_i. The sentences are the same
on all machines, so only v_i = s_i² − e_i² is what one of them knows alone. With w_i = 1 / v_i and k machines

    Q = Σ w_i (y_i − ȳ_w)²       I² = max(0, (Q − (k − 1)) / Q)                                (Higgins & Thompson 2002)
    τ² = max(0, (Q − (k − 1)) / (Σ w_i − Σ w_i² / Σ w_i))                                      (DerSimonian & Laird 1986)

τ² is the variance between machines, and with w*_i = 1 / (v_i + τ²) the pooled effect is μ = Σ w*_i y_i / Σ w*_i. Its variance
is that of Hartung & Knapp (2001), max(1, Σ w*_i (y_i − μ)² / (k − 1)) / Σ w*_i, with k − 1 degrees of freedom. DerSimonian and
Laird's own interval takes the v_i for known and is far too narrow with few machines and few seeds each (IntHout, Ioannidis &
Borm 2014); the 1 keeps it from being narrower than if the machines were alike (Röver, Knapp & Friede 2015). What the sentences
add does not shrink with more machines: it is added whole. Two machines leave one degree of freedom, so that even two clear
answers make a vague one; the interval as if they were alike stands beside it.

Words: study = what one report says of one part of a claim; freedom = degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from translab.comparison.statistics import Effect

SMALLEST = 1e-9
"""Variances below this share of their largest (or of 1, where all are 0) are taken for it: no machine is infinitely sure."""


@dataclass(frozen=True)
class Study:
    """What one report says of one part of a claim."""

    effect: float
    standard_error: float
    sentence_error: float
    """The part of it that the test sentences give."""
    freedom: float
    """With which the standard error is known."""
    sentences: int
    """0 where the metric is not made of sentences."""
    seeds: int


@dataclass(frozen=True)
class Pooled:
    """All studies together."""

    effect: Effect
    common: Effect
    """As if the machines were alike (τ² = 0), with the degrees of freedom of all seeds: shown beside it, decides nothing."""
    q: float
    p_q: float
    """Of the hypothesis that the machines are alike (χ² with k − 1 degrees of freedom)."""
    i_squared: float
    """Share of the spread between machines that seeds do not explain, 0 to 1."""
    tau_squared: float
    """Variance between machines, in squared units of the metric."""
    weights: list[float]
    """Of each study in the pooled effect; they sum to 1."""


def pool(studies: Sequence[Study]) -> Pooled:
    """Pool the studies of one part of a claim.

    Args:
        studies: at least two, of different seeds on the same test sentences.
    """
    effects = np.array([study.effect for study in studies])
    errors = np.array([study.sentence_error for study in studies])
    variances = np.maximum(np.array([study.standard_error for study in studies]) ** 2 - errors**2, 0.0)
    variances = np.maximum(variances, SMALLEST * (variances.max() or 1.0))
    more = len(studies) - 1
    alike = 1 / variances
    q = float(alike @ (effects - alike @ effects / alike.sum()) ** 2)
    tau_squared = max(0.0, (q - more) / float(alike.sum() - (alike**2).sum() / alike.sum()))
    weights = 1 / (variances + tau_squared)
    mean = float(weights @ effects / weights.sum())
    spread = float(weights @ (effects - mean) ** 2) / more
    shares = weights / weights.sum()
    sentences = max(study.sentences for study in studies)
    pooled = Effect(
        mean,
        sum(study.seeds for study in studies),
        max(1.0, spread) / float(weights.sum()),
        float(more),
        float(shares @ errors) ** 2,
        sentences - 1 if sentences else math.inf,
    )
    own = alike / alike.sum()
    parts, freedom = own**2 * variances, np.array([study.freedom for study in studies])
    common = Effect(
        float(own @ effects),
        pooled.seeds,
        float(parts.sum()),
        float(parts.sum() ** 2 / (parts**2 / freedom).sum()),
        float(own @ errors) ** 2,
        pooled.sentence_freedom,
    )
    i_squared = max(0.0, (q - more) / q) if q else 0.0
    return Pooled(pooled, common, q, float(chdtrc(more, q)), i_squared, tau_squared, [float(share) for share in shares])
