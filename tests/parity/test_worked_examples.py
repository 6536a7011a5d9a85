"""Contrasts, margins, clips and effects are what a reader gets by hand."""

import math

import numpy as np
import pytest
from qdexp_analysis.contrasts import Margin, judge
from qdexp_analysis.intervals import estimate

from tests.parity.drawn_experiments import (
    TWO_BY_TWO,
    effects_of,
    scores_of,
)


def test_a_worked_example_by_hand() -> None:
    """Three seeds; t with 2 degrees of freedom has p = 1 - |t| / sqrt(t^2 + 2).

    Differences 1, 2, 3: mean 2, variance 1, t = 2 sqrt(3), p = 1 - sqrt(12 / 14).
    Differences 10, 11, 12: mean 11, variance 1, t = 11 sqrt(3), p = 1 - sqrt(363 / 365).
    Holm doubles the smaller; the interval's half width is 4.302653 / sqrt(3).
    """
    values = np.array([[10.0, 20.0, 30.0], [11.0, 22.0, 33.0], [20.0, 31.0, 42.0]])
    one, other = judge(scores_of(values), 0, None)
    assert one.estimate is not None
    assert one.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert other.p == pytest.approx(2 * (1 - math.sqrt(363 / 365)))
    half = 4.302653 / math.sqrt(3)
    assert one.estimate.interval == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert (one.verdict, other.verdict) == ("undecided", "worse")


def test_a_worked_example_of_a_margin_by_hand() -> None:
    """Differences 1, 2, 3 in a margin of 6: t = (6 - 2) sqrt(3), one-sided p as in the docstring.

    One-sided, with 2 degrees of freedom: p = (1 - t / sqrt(t^2 + 2)) / 2; the other side is less.
    """
    values = np.array([[10.0, 20.0, 30.0], [11.0, 22.0, 33.0]])
    (contrast,) = judge(scores_of(values), 0, Margin(value=6.0, is_relative=False))
    assert contrast.p_equivalent == pytest.approx((1 - math.sqrt(48 / 50)) / 2)
    assert contrast.verdict == "equivalent"


def test_a_worked_example_of_seeds_and_clips_by_hand() -> None:
    """Rows are seeds: means 2 and 6, variance 8, over 2 is 4. Clips: 3 and 5, 2, over 2 is 1.

    SE^2 = 4 + 1, with 5^2 / (4^2 / 1 + 1^2 / 1) = 25 / 17 degrees of freedom.
    """
    found = estimate(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert found.mean == 4
    assert found.new_clips is not None
    assert found.new_clips.value**2 == pytest.approx(5)
    assert found.new_clips.df == pytest.approx(25 / 17)
    assert found.same_clips is not None
    assert (found.same_clips.value, found.same_clips.df) == (2, 1)


def test_a_worked_example_of_effects_by_hand() -> None:
    """Two by two; rows: low low, low high, high low, high high; columns: three seeds.

    Size, seed by seed: (2 + 6 - 0 - 1) / 2 = 3.5; (4 + 7 - 1 - 2) / 2 = 4; (3 + 11 - 2 - 3) / 2 =
    4.5. Rate: (1 + 6 - 0 - 2) / 2 = 2.5; 2; 4.5. Product: 6 - 2 - (1 - 0) = 3; 2; 7.
    """
    values = np.array([[0.0, 1, 2], [1, 2, 3], [2, 4, 3], [6, 7, 11]])
    effects, _ = effects_of(values, TWO_BY_TWO)
    assert [e.contrast.differences[:, 0].tolist() for e in effects] == [
        pytest.approx([3.5, 4, 4.5]), pytest.approx([2.5, 2, 4.5]), pytest.approx([3, 2, 7]),
    ]  # fmt: skip
    # Size: mean 4, variance 1/4, t = 4 sqrt(12), p = 1 - sqrt(192 / 194), three times that.
    assert effects[0].p == pytest.approx(3 * (1 - math.sqrt(192 / 194)))
