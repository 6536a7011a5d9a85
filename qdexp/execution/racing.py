# scipy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
"""Which candidates of a round stay in the race, by what was measured on the seeds so far."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from scipy import special

from qdexp.experiment.search_spec import Direction

Key = TypeVar("Key")
Values = Sequence[float]

FIRST_SEEDS = 3
"""Seeds that every candidate gets before any is dropped."""

ERROR = 0.05
"""The chance that a round drops the candidate whose true mean is the best, at most."""


def best_of(values: Mapping[Key, Values], direction: Direction) -> Key:
    """Returns whose mean is the best; of equals the first."""
    sign = 1 if direction == "lower" else -1
    return min(values, key=lambda key: sign * math.fsum(values[key]) / len(values[key]))


def num_looks(num_seeds: int) -> int:
    """Returns how often a round looks before all have all seeds: after 3, 4, ... seeds."""
    return max(0, num_seeds - FIRST_SEEDS)


def still_racing(
    values: Mapping[Key, Values],
    direction: Direction,
    *,
    num_candidates: int,
    num_looks: int,
) -> list[Key]:
    """Returns those that are not clearly worse than the leader, in their order.

    One is dropped where the lower end of the one-sided t interval of its paired differences from
    the present leader is above 0 (worse), at the level ``0.05 / ((candidates - 1) * looks)``. The
    best in truth is dropped only if such an interval misses the truth for one of the others at one
    of the looks: with Bonferroni's inequality that has a chance of 5 % at most in a round, whoever
    leads, where differences are normal. Without any variance nothing is known of the noise, and
    nobody is dropped.

    Args:
        values: What each that still races measured, by seed; the same seeds for all.
        direction: Which values are better.
        num_candidates: Candidates at the round's beginning.
        num_looks: Looks in the round.
    """
    leader = best_of(values, direction)
    level = ERROR / (max(1, num_candidates - 1) * max(1, num_looks))
    sign = 1 if direction == "lower" else -1
    leading = values[leader]
    behind = {
        key: [sign * (a - b) for a, b in zip(own, leading, strict=True)]
        for key, own in values.items()
    }
    return [key for key, differences in behind.items() if _lower_end(differences, level) <= 0]


def _lower_end(differences: Sequence[float], level: float) -> float:
    """Returns the lower end of a mean's one-sided t interval; minus infinity without variance."""
    number = len(differences)
    mean = math.fsum(differences) / number
    squares = math.fsum((each - mean) ** 2 for each in differences)
    if number < 2 or squares == 0:
        return -math.inf
    error = math.sqrt(squares / (number - 1) / number)
    return mean - float(special.stdtrit(number - 1, 1 - level)) * error
