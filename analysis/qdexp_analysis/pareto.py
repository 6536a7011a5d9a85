"""Several objectives at once: which points no other one beats, and how much they beat together.

Axes: n points, m objectives. Values are losses: lower is better in each.
"""

import numpy as np
from jaxtyping import Bool, Float

MARGIN = 0.1
"""How far beyond the worst values the reference point lies, in ranges of an objective."""


def is_on_front(losses: Float[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
    """Tells which points no other one dominates: none is as good in all and better in one.

    A point with a value that is not finite is on no front.
    """
    is_known = np.all(np.isfinite(losses), axis=1)
    no_worse = (losses[:, None] <= losses[None]).all(axis=2)
    is_better = (losses[:, None] < losses[None]).any(axis=2)
    is_beaten = np.any(no_worse & is_better, axis=0)  # nan beats nothing
    return is_known & ~is_beaten


def reference_point(losses: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Returns a point that is worse than every other in each objective, by a tenth of its range."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    return high + MARGIN * (high - low)


def hypervolume(losses: Float[np.ndarray, "n m"], reference: Float[np.ndarray, " m"]) -> float:
    """Returns the volume that points dominate, up to a reference point.

    Sliced along the last objective, one after another (Zitzler, 2001): exact, and fast enough for
    the fronts of searches in a few objectives.
    """
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - inside.min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    ends = [*inside[1:, -1].tolist(), float(reference[-1])]
    return sum(
        (end - inside[k, -1]) * hypervolume(inside[: k + 1, :-1], reference[:-1])
        for k, end in enumerate(ends)
        if end > inside[k, -1]
    )
