"""Which running trials of a search end early: decided by what others of their seed had reached.

A trial that reaches a step is judged there once, beside those that reached it before: so nobody
waits for anybody. ASHA: Li et al., A System for Massively Parallel Hyperparameter Tuning (MLSys
2020), section 3.2.
"""

import math
import statistics
from collections.abc import Sequence

from qdexp.experiment.search_spec import Pruning


def rung_of(pruning: Pruning, step: int) -> int | None:
    """Returns the step at which a report after so many steps is compared, or None before any."""
    return max((each for each in pruning.steps if each <= step), default=None)


def reason_to_prune(pruning: Pruning, value: float, others: Sequence[float], step: int) -> str:
    """Returns why a trial ends at a step, in words, or nothing if it goes on.

    Args:
        pruning: How trials are judged.
        value: What it reached there.
        others: What the other trials of its seed did, those included that ended since.
        step: The step.
    """
    told = f"{pruning.metric} {value:.6g} at step {step}"
    if not math.isfinite(value):
        return told
    if len(others) < pruning.least:
        return ""
    if pruning.kind == "median":
        median = statistics.median(others)
        if _is_better_or_equal(pruning, value, median):
            return ""
        return f"{told} is worse than the median of {len(others)} others, {median:.6g}"
    rank, kept = _asha(pruning, value, others)
    if rank <= kept:
        return ""
    return f"{told} is number {rank} of {len(others) + 1}, and the best {kept} go on"


def _asha(pruning: Pruning, value: float, others: Sequence[float]) -> tuple[int, int]:
    """Returns the trial's rank, from 1 and the best of equal ones, and how many go on.

    The first few are too few for a share of them: of those the best goes on.
    """
    kept = max(1, (len(others) + 1) // pruning.reduction_factor)
    better = sum(not _is_better_or_equal(pruning, value, other) for other in others)
    return better + 1, kept


def _is_better_or_equal(pruning: Pruning, value: float, other: float) -> bool:
    return value <= other if pruning.direction == "lower" else value >= other
