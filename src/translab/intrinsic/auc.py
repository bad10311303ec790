"""The area under the ROC curve: how often a positive scores above a negative; a tie counts one half.

AUC = (Σ_p #{n: n < p} + ½ #{n: n = p}) / (P · N), which is the Mann–Whitney U of the positives over P · N (Hanley & McNeil
1982, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve"). The counts are integers: the
value is exact but for one division, and 0.5 exactly if all scores are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """AUC of scores [P] against scores [N], both of at least one."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    twice = int(below.sum(dtype=np.int64)) + int(not_above.sum(dtype=np.int64))
    return twice / (2 * len(positive) * len(negative))
