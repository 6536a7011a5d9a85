"""Fronts and hypervolumes against what is known in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdexp_analysis.pareto import hypervolume, is_on_front, reference_point

ROWS = st.integers(2, 3).flatmap(
    lambda m: st.lists(st.lists(st.integers(0, 5), min_size=m, max_size=m), min_size=1, max_size=8)
)


def test_front_is_what_no_other_point_beats() -> None:
    losses = np.array([[1, 4], [2, 2], [4, 1], [3, 3], [2, 2], [np.nan, 0]])
    assert is_on_front(losses).tolist() == [True, True, True, False, True, False]


def test_hypervolume_of_a_staircase_is_the_sum_of_its_steps() -> None:
    losses = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0]])
    assert hypervolume(losses, np.array([5.0, 5.0])) == pytest.approx(4 + 6 + 1)


@given(ROWS)
def test_hypervolume_counts_the_unit_cells_that_are_dominated(rows: list[list[int]]) -> None:
    losses = np.array(rows, dtype=float)
    sides = [np.arange(6)] * losses.shape[1]
    corners = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, losses.shape[1])
    is_dominated = np.all(losses[None] <= corners[:, None], axis=2)
    dominated = np.any(is_dominated, axis=1).sum()
    assert hypervolume(losses, np.full(losses.shape[1], 6.0)) == pytest.approx(dominated)


@given(ROWS)
def test_only_the_front_makes_the_hypervolume(rows: list[list[int]]) -> None:
    losses = np.array(rows, dtype=float)
    reference = reference_point(losses)
    whole = hypervolume(losses, reference)
    assert hypervolume(losses[is_on_front(losses)], reference) == pytest.approx(whole)
    assert (reference >= losses).all()
