"""Where seeds do not match, and where trials are lost: Welch's test, rates, doubts."""

from dataclasses import replace

import numpy as np
import pytest
from qdexp_analysis.contrasts import Margin, Scores, judge
from qdexp_analysis.missing import depends_p, rate
from scipy import stats


def _p(result: object) -> float:
    """Returns the p value of a test of SciPy's: its stubs do not know it."""
    return float(np.asarray(result)[1])


def _disjoint(effect: float = 0.0, clips: int = 1, shared: int = 0) -> Scores:
    """Returns a baseline of seeds 0 to 3, and a condition of seeds 4 to 8 and `shared` of those."""
    values = 10 + np.random.default_rng(1).normal(size=(2, 9, clips))
    values[1] += effect
    values[0, 4:] = values[1, shared:4] = np.nan
    return Scores(values=values, diverged=np.zeros((2, 9), dtype=bool), direction="lower")


def test_seeds_that_do_not_match_are_compared_by_welchs_test_as_scipy_has_it() -> None:
    scores = _disjoint(-2.0)
    (contrast,) = judge(scores, 0, None)
    expected = stats.ttest_ind(scores.values[1, 4:, 0], scores.values[0, :4, 0], equal_var=False)
    limits = expected.confidence_interval(0.95)
    assert not contrast.is_paired
    assert contrast.estimate is not None
    assert contrast.estimate.num_seeds == 4
    assert contrast.p == pytest.approx(_p(expected))
    assert contrast.estimate.interval == pytest.approx((limits.low, limits.high))


def test_equivalence_of_unpaired_seeds_is_two_of_scipys_one_sided_tests() -> None:
    scores = _disjoint(0.1)
    (contrast,) = judge(scores, 0, Margin(value=0.2, is_relative=True))
    one, control = scores.values[1, 4:, 0], scores.values[0, :4, 0]
    above = stats.ttest_ind(one, 0.8 * control, equal_var=False, alternative="greater")
    below = stats.ttest_ind(one, 1.2 * control, equal_var=False, alternative="less")
    assert contrast.p_equivalent == pytest.approx(max(_p(above), _p(below)))


def test_clips_are_still_shared_where_seeds_are_not() -> None:
    (contrast,) = judge(_disjoint(clips=12), 0, None)
    assert contrast.estimate is not None
    assert contrast.estimate.new_clips is not None


@pytest.mark.parametrize(("shared", "is_paired"), [(0, False), (1, False), (2, True)])
def test_two_pairs_are_enough_to_stay_paired(shared: int, is_paired: bool) -> None:  # noqa: FBT001
    (contrast,) = judge(_disjoint(shared=shared), 0, None)
    assert contrast.is_paired == is_paired


def test_failures_that_depend_on_the_condition_count_as_the_worst_value() -> None:
    seeds = 12
    values = 10 + 0.1 * np.random.default_rng(1).normal(size=(3, seeds, 1))
    values[1] -= 1.0
    values[2] += 9.0
    failed = np.zeros((3, seeds), dtype=bool)
    failed[1, :6] = True
    values[failed] = np.nan
    scores = Scores(values=values, diverged=np.zeros_like(failed), failed=failed, direction="lower")
    p = _p(stats.fisher_exact([[6, 0], [6, 12]]))
    assert scores.p_depends(1, 0) == pytest.approx(p)
    assert p < 0.05
    assert [c.doubt for c in judge(scores, 0, None)] == ["diverged", None]
    failed[1, 2:6] = False
    values[1, 2:6] = 9.0
    assert judge(replace(scores, values=values), 0, None)[0].verdict == "better"


def test_rates_have_clopper_and_pearsons_interval() -> None:
    found = rate(3, 5)
    assert found.interval == pytest.approx(
        (stats.beta.ppf(0.025, 3, 3), stats.beta.ppf(0.975, 4, 2))
    )
    assert rate(0, 4).interval == pytest.approx((0.0, 1 - 0.025**0.25))
    assert rate(0, 0).interval is None


def test_nothing_lost_has_no_p_value() -> None:
    assert depends_p([0, 0], [5, 5]) is None
    assert depends_p([2, 0], [0, 0]) is None
    assert depends_p([5, 0], [0, 5]) == pytest.approx(2 / 252)
