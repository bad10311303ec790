"""One seed, several independent streams.

A run has a single seed. What is random in it (initialisation, data order, dropout, the choice of a subset, fresh layers above
transferred ones) draws from streams of its own, so that a change in one does not shift the others. The section `randomness` may
fix the seed of a stream: runs that share it differ only in the others, and their spread tells what those contribute.
"""

from __future__ import annotations

import hashlib
from typing import Literal


def stream(seed: int, purpose: str) -> int:
    """Seed of one stream of a run, a 63-bit integer that depends on (seed, purpose) alone.

    >>> stream(1, "initialisation") == stream(1, "initialisation")
    True
    >>> stream(1, "initialisation") == stream(1, "order")
    False
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def drawn(seed: int, fixed: int | Literal["run"], purpose: str) -> int:
    """Seed of a stream that a value of `randomness` may have fixed; `run` leaves it to the run's own seed.

    >>> drawn(2, "run", "order") == stream(2, "order")
    True
    >>> drawn(2, 1, "order") == stream(1, "order")
    True
    """
    return stream(seed if fixed == "run" else fixed, purpose)
