"""Quality against cost: which conditions no other one beats in both.

Axes: k conditions, s seeds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from qdexp.config.metric import Direction
from qdexp_analysis.contrasts import Scores
from qdexp_analysis.pareto import is_on_front


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """The primary metric against the time of a training step.

    Args:
        cost: Seconds of a step, mean over completed seeds; nan where unknown.
        quality: The primary metric likewise.
        is_on_front: The conditions that no other one beats in one and equals in the other.
    """

    cost: Float[np.ndarray, " k"]
    quality: Float[np.ndarray, " k"]
    is_on_front: Bool[np.ndarray, " k"]


def trade_off(cost: Scores, quality: Scores) -> TradeOff:
    """Returns the trade-off between two metrics, over the trials that have both."""
    both = cost.is_complete & quality.is_complete
    costs, qualities = (_means(scores.means, both) for scores in (cost, quality))
    front = pareto_front(costs, qualities, quality.direction)
    return TradeOff(cost=costs, quality=qualities, is_on_front=front)


def pareto_front(
    cost: Float[np.ndarray, " k"], quality: Float[np.ndarray, " k"], direction: Direction
) -> Bool[np.ndarray, " k"]:
    """Tells which points no other one dominates: none costs less and is as good, or the reverse.

    Without a good direction of quality, and where a value is nan, no point is on the front.
    """
    loss = {"lower": quality, "higher": -quality}.get(direction, np.full_like(quality, np.nan))
    return is_on_front(np.stack([cost, loss], axis=1))


def _means(values: Float[np.ndarray, "k s"], chosen: Bool[np.ndarray, "k s"]) -> np.ndarray:
    total = np.where(chosen, values, 0.0).sum(axis=1)
    return np.where(chosen.any(axis=1), total / np.maximum(chosen.sum(axis=1), 1), np.nan)
