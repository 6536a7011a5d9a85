"""A race seldom drops the best, and soon drops what is clearly worse."""

import numpy as np
import pytest
from measures import share

from qdexp.execution.racing import FIRST_SEEDS, best_of, num_looks, still_racing

NUMBER = 2000


def raced(values: np.ndarray) -> list[int]:
    """Returns who is left after all seeds; `values` has a row for each candidate."""
    num_candidates, num_seeds = values.shape
    racing = list(range(num_candidates))
    for number in range(FIRST_SEEDS, num_seeds):
        racing = still_racing(
            {each: values[each, :number].tolist() for each in racing},
            "lower",
            num_candidates=num_candidates,
            num_looks=num_looks(num_seeds),
        )
    return racing


@pytest.mark.parametrize(("num_candidates", "num_seeds"), [(2, 5), (6, 8), (4, 20)])
def test_the_best_is_dropped_in_one_round_of_twenty_at_most(
    num_candidates: int, num_seeds: int
) -> None:
    draw = np.random.default_rng(num_candidates)
    shape = (num_candidates, num_seeds)
    # All alike is where the best, whichever it is, is dropped most easily.
    rounds = (draw.normal(size=shape) + 3 * draw.normal(size=(1, num_seeds)) for _ in range(NUMBER))
    dropped = share(0 not in raced(values) for values in rounds)
    assert dropped.is_within(0.0, 0.05), dropped


def test_what_is_clearly_worse_is_dropped_and_the_best_stays() -> None:
    draw = np.random.default_rng(1)
    effects = np.array([0.0, 8.0, 12.0])[:, None]
    left = [
        raced(effects + draw.normal(size=(3, 8)) + 3 * draw.normal(size=(1, 8)))
        for _ in range(NUMBER)
    ]
    assert share(each == [0] for each in left).is_within(0.95, 1.0)


def test_the_leader_and_what_shows_no_noise_are_never_dropped() -> None:
    values = {"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0], "c": [9.0, 8.0, 9.5]}
    assert best_of(values, "lower") == "a"
    assert best_of(values, "higher") == "c"
    left = still_racing(values, "lower", num_candidates=3, num_looks=1)
    assert left == ["a", "b"], "b is worse by the same on each seed, c by much on each"
