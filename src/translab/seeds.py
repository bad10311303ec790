"""One seed, several independent streams.

A run has a single seed. What is random in it (initialisation, data order, dropout, the choice of a subset, fresh layers above
transferred ones) draws from streams of its own, so that a change in one does not shift the others.
"""

from __future__ import annotations

import hashlib


def stream(seed: int, purpose: str) -> int:
    """Seed of one stream of a run, a 63-bit integer that depends on (seed, purpose) alone.

    >>> stream(1, "initialisation") == stream(1, "initialisation")
    True
    >>> stream(1, "initialisation") == stream(1, "order")
    False
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
