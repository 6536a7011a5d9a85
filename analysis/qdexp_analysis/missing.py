"""Trials that ended without a result: how often, and whether that depends on the condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from qdexp_analysis.intervals import CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of the trials that ended did so in one way.

    Args:
        count: They.
        total: Trials that ended: completed, diverged or failed.
        interval: The exact 95 % interval of the rate (Clopper and Pearson, 1934); None if no trial
            has ended.
    """

    count: int
    total: int
    interval: tuple[float, float] | None


@lru_cache(maxsize=1024)
def rate(count: int, total: int) -> Rate:
    """Returns a rate with its exact interval."""
    if total == 0:
        return Rate(count=count, total=total, interval=None)
    limits = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return Rate(count=count, total=total, interval=(float(limits.low), float(limits.high)))


def depends_p(lost: Sequence[int], done: Sequence[int]) -> float | None:
    """Returns the p value of two conditions that lose trials equally often (Fisher's exact test).

    None if no trial was lost, or none has ended, in both.
    """
    if not any(lost) or min(a + b for a, b in zip(lost, done, strict=True)) == 0:
        return None
    _, p = np.asarray(stats.fisher_exact([list(lost), list(done)]))
    return float(p)
