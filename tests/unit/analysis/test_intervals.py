"""Standard errors and intervals of one paired difference."""

import numpy as np
import pytest
from qdexp_analysis.intervals import estimate
from qdexp_analysis.planning import (
    clip_variances,
    clips_suffice,
    minimum_detectable,
    power,
    seeds_needed,
)
from scipy import stats


def _differences(shape: tuple[int, int] = (3, 4)) -> np.ndarray:
    return np.random.default_rng(3).normal(0.1, 1, shape)


def test_interval_on_the_same_clips_is_scipys_t_interval_over_seed_means() -> None:
    differences = _differences()
    found = estimate(differences)
    assert found.same_clips is not None
    expected = stats.ttest_1samp(differences.mean(axis=1), 0)
    interval = expected.confidence_interval(0.95)
    assert found.same_clips.interval(found.mean) == pytest.approx((interval.low, interval.high))
    assert found.same_clips.p_two_sided(found.mean) == pytest.approx(expected[1])


def test_interval_on_new_clips_agrees_with_a_sum_done_by_hand() -> None:
    differences = np.array([[1.0, 3.0], [2.0, 6.0]])
    found = estimate(differences)
    # Seed means 2 and 4: s^2 = 2, /2 seeds = 1. Clip means 1.5 and 4.5: s^2 = 4.5, /2 clips = 2.25.
    # The rest is +-0.5 four times: 1 / 1 degree of freedom, /4 values = 0.25.
    assert found.new_clips is not None
    assert found.mean == 3.0
    assert found.new_clips.value == pytest.approx(np.sqrt(1 + 2.25 - 0.25))
    assert found.new_clips.df == pytest.approx(3**2 / (1**2 / 1 + 2 * 2.25 / 1))


def test_verdicts_use_the_wider_interval_and_the_larger_p_value() -> None:
    found = estimate(_differences((4, 30)))
    intervals = [error.interval(found.mean) for error in found.errors]
    assert len(intervals) == 2
    assert found.interval is not None
    assert np.ptp(found.interval) == pytest.approx(max(np.ptp(limits) for limits in intervals))
    assert found.p_two_sided == max(error.p_two_sided(found.mean) for error in found.errors)


@pytest.mark.parametrize(
    "differences",
    [np.array([[0.3, 0.4]]), np.full((3, 1), 0.25), np.zeros((3, 4))],
    ids=["one seed", "no variance", "identical"],
)
def test_without_variance_between_seeds_there_is_no_standard_error(
    differences: np.ndarray,
) -> None:
    found = estimate(differences)
    assert found.errors == ()
    assert found.interval is None
    assert found.p_two_sided is None
    assert np.isfinite(found.mean)


def test_power_is_the_level_without_an_effect_and_80_percent_at_the_detectable_one() -> None:
    error = estimate(_differences((5, 1))).same_clips
    assert error is not None
    assert power(error, 1e-9, 0.05) == pytest.approx(0.025, abs=1e-3)
    assert power(error, minimum_detectable(error, 0.05), 0.05) == pytest.approx(0.8, abs=1e-3)


def test_seeds_needed_fall_as_the_effect_grows() -> None:
    differences = _differences((3, 1))
    few, many = (seeds_needed(differences, effect, 0.05) for effect in (4.0, 1.5))
    assert few is not None
    assert many is not None
    assert 2 <= few < many


def test_no_number_of_seeds_is_enough_where_clips_are_what_differs() -> None:
    by_clip = np.random.default_rng(0).normal(0, 5, (1, 8))
    differences = by_clip + np.random.default_rng(1).normal(0, 0.01, (3, 8))
    assert seeds_needed(differences, 0.1, 0.05) is None
    assert not clips_suffice(differences, 0.1, 0.05)


def test_clips_are_not_blamed_where_seeds_are_what_differs() -> None:
    by_seed = np.random.default_rng(0).normal(0, 5, (3, 1))
    differences = by_seed + np.random.default_rng(1).normal(0, 0.01, (3, 8))
    assert seeds_needed(differences, 0.1, 0.05) is None
    assert clips_suffice(differences, 0.1, 0.05)


def test_variance_between_clips_leaves_out_the_noise_that_more_seeds_remove() -> None:
    draw = np.random.default_rng(4)
    noise = draw.normal(0, 1, (3, 4000))
    own, rest = clip_variances(draw.normal(0, 2, (1, 4000)) + noise)
    assert own == pytest.approx(4, rel=0.1)
    assert rest == pytest.approx(1, rel=0.1)
    assert clip_variances(noise)[0] < 0.05
