"""Deciding at the first look that suffices, without being wrong more often: alpha spending.

Who tests after 3 seeds and, if nothing was found, again after 5 has two chances to be wrong. The error α is therefore spent
over the looks. At look k of K the share of the information is t_k = n_k / n_K, and up to then

    α(t) = 2 − 2 Φ(z_{α/2} / √t)                                (Lan & DeMets 1983, O'Brien & Fleming's shape)

may be spent, on each side of a two-sided test half of it: nearly nothing early, nearly all at the end. The nominal level of a
look is that with which the tests up to it, as jointly normal with correlation √(t_j / t_k), are wrong with chance α(t_k)
(Armitage, McPherson & Rowe 1969, by recursive integration). A p value is turned round into the smallest α at which its look
would reject (the sequential p value of Liu & Anderson 2008); Holm's adjustment of these keeps the error of a family (Maurer &
Bretz 2013).

Deviations: p values of t tests stand for those of normal ones (as Jennison & Turnbull 2000, section 3.3, recommend). The test
sentences are the same at all looks, so that these are correlated more than √(t_j / t_k): the error is smaller than stated.

Words: look = a number of seeds at which a claim may be decided; nominal = what a look's own p value is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from translab.comparison.sufficient import Array

POINTS, LOWEST, HIGHEST = 400, -9.0, 30.0
"""Points and lower end of the integration, and the highest bound of a look, in standard deviations."""

SMALLEST = -200.0
"""Logarithm of the smallest error that is told from none."""


def nominal(alpha: float, looks: Sequence[int]) -> list[float]:
    """The level of each look's two-sided p value such that all looks together are wrong with chance `alpha` at most.

    >>> [round(level, 4) for level in nominal(0.05, [3, 5])], nominal(0.05, [3])
    ([0.0076, 0.0476], [0.05])
    """
    return [alpha] if len(looks) == 1 else [2 * float(ndtr(-bound)) for bound in _bounds(alpha / 2, tuple(looks))]


def sequential(p: float, looks: Sequence[int], look: int) -> float:
    """The smallest error over all looks with which a p value that is found at one of them would be enough.

    Args:
        p: two-sided.
        looks: numbers of seeds, rising.
        look: one of them.
    """
    if look == looks[-1] == looks[0] or p >= 1:
        return min(p, 1.0)
    from scipy.optimize import brentq  # takes longer to import than a plan with single looks takes

    reached = tuple(looks[: looks.index(look) + 1])

    def beyond(logarithm: float) -> float:
        return float(ndtri(p / 2)) + _bounds(float(np.exp(logarithm)) / 2, reached, looks[-1])[-1]

    if beyond(SMALLEST) < 0:
        return float(np.exp(SMALLEST))
    return float(np.exp(brentq(beyond, SMALLEST, 0.0, rtol=1e-9))) if beyond(0.0) < 0 else 1.0


@lru_cache(maxsize=4096)
def _bounds(alpha: float, looks: tuple[int, ...], last: int | None = None) -> list[float]:
    """Upper bounds of z at each look, for a one-sided error `alpha`; `last` is the last look if it is not among them."""
    shares = [look / (last or looks[-1]) for look in looks]
    bounds: list[float] = []
    spent, earlier, grid, density = 0.0, 0.0, np.zeros(1), np.ones(1)
    for before, share in zip([0.0, *shares], shares, strict=False):
        allowed = 2 * float(ndtr(float(ndtri(alpha / 2)) / np.sqrt(share))) - spent if share < 1 else alpha - spent
        if bounds:
            # The masses of the paths that did not cross at the look before (trapezoids).
            following = np.linspace(LOWEST, bounds[-1], POINTS)
            density = _carried(grid, density, earlier, before, following) * (following[1] - following[0])
            density[[0, -1]] /= 2
            grid = following
        bounds.append(_root(grid, density, before, share, allowed))
        earlier, spent = before, spent + allowed
    return bounds


def _carried(grid: Array, density: Array, before: float, share: float, following: Array) -> Array:
    """The density of z at information `share`, from masses on a grid at information `before`: [P] → [Q]."""
    spread = np.sqrt((share - before) / share)
    centres = grid * np.sqrt(before / share)
    kernel = np.exp(-0.5 * ((following[:, None] - centres) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))  # [Q, P]
    carried: Array = kernel @ density
    return carried


def _root(grid: Array, density: Array, before: float, share: float, allowed: float) -> float:
    """The bound above which `allowed` of the mass lies at information `share`."""
    from scipy.optimize import brentq

    spread, centres = np.sqrt((share - before) / share), grid * np.sqrt(before / share)

    def excess(bound: float) -> float:
        return float(density @ ndtr((centres - bound) / spread)) - allowed

    return float(brentq(excess, LOWEST, HIGHEST)) if excess(HIGHEST) < 0 else HIGHEST
