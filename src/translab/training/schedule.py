"""The learning rate as a function of the step.

Both shapes rise linearly over the warm-up. `inverse-square-root` is that of Vaswani et al. 2017 (section 5.3), scaled so that
its peak is 1; `cosine` that of Loshchilov & Hutter 2017 ("SGDR", equation 5) without restarts, down to 0 at the last update.
"""

from __future__ import annotations

import math

from translab.config import Optimisation


def rate_factor(step: int, optimisation: Optimisation) -> float:
    """Share of the peak rate that update `step` (from 0) is made with.

    >>> from types import SimpleNamespace as Values
    >>> values = Values(warmup=4, updates=100, schedule="inverse-square-root")
    >>> [rate_factor(step, values) for step in (0, 3, 15)]
    [0.25, 1.0, 0.5]
    """
    update = step + 1
    if update < optimisation.warmup:
        return update / optimisation.warmup
    if optimisation.schedule == "inverse-square-root":
        return math.sqrt(max(1, optimisation.warmup) / update)
    progress = (update - optimisation.warmup) / max(1, optimisation.updates - optimisation.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
