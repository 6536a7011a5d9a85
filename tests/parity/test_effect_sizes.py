"""Sizes, the noncentral t and power are those of scipy and statsmodels, aggregates rliable's."""

import math

import numpy as np
import pytest
from qdexp_analysis.aggregates import interquartile_mean, probability_of_improvement
from qdexp_analysis.contrasts import judge
from qdexp_analysis.effect_sizes import effect_size, hedges_correction
from qdexp_analysis.intervals import StandardError
from qdexp_analysis.noncentral import noncentral_cdf
from qdexp_analysis.planning import power
from scipy import special, stats
from statsmodels.stats.power import TTestPower

from tests.parity.drawn_experiments import (
    drawn,
    scores_of,
    t_of,
)


def test_an_effect_size_is_the_noncentral_t_of_scipy() -> None:
    values = drawn(2, 6)
    (contrast,) = judge(scores_of(values), 0, None)
    size = effect_size(contrast)
    assert size is not None
    t, root = t_of(contrast), math.sqrt(6)
    assert size.d_z == pytest.approx(t / root)
    assert stats.nct.sf(t, 5, size.interval[0] * root) == pytest.approx(0.025, rel=1e-6)
    assert stats.nct.cdf(t, 5, size.interval[1] * root) == pytest.approx(0.025, rel=1e-6)
    exact = special.gamma(5 / 2) / (math.sqrt(5 / 2) * special.gamma(2))
    assert size.g_z == pytest.approx(exact * size.d_z)
    assert hedges_correction(30) == pytest.approx(1 - 3 / (4 * 30 - 1), rel=1e-4)


@pytest.mark.parametrize("df", [1, 4, 9])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.01, 1.0, 8.0])
@pytest.mark.parametrize("noncentrality", [-1.0, 0.0, 3.0])
def test_the_noncentral_t_is_scipys_where_that_has_digits(
    t: float, df: int, noncentrality: float
) -> None:
    expected = stats.nct.cdf(t, df, noncentrality)
    assert noncentral_cdf(t, df, noncentrality) == pytest.approx(expected, abs=1e-10)


def test_a_noncentral_t_far_out_is_a_chi_distribution() -> None:
    """As it is for pairs of nearly no noise, where SciPy's series is slow and then nan."""
    t, df = 5000.0, 3
    assert math.isnan(stats.nct.cdf(300.0, df, -300.0))
    assert noncentral_cdf(300.0, df, -300.0) == pytest.approx(1)
    for share in (0.025, 0.5, 0.975):
        noncentrality = t * math.sqrt(stats.chi2.isf(share, df) / df)
        assert noncentral_cdf(t, df, noncentrality) == pytest.approx(share, abs=1e-5)


def test_power_is_that_of_statsmodels() -> None:
    for number, effect in ((3, 1.0), (5, 0.8), (10, 1.5)):
        error = StandardError(value=1 / math.sqrt(number), df=number - 1)
        expected = TTestPower().power(effect, number, 0.05)
        # Statsmodels' has the other tail too, of less than a thousandth here.
        assert power(error, effect, 0.05) == pytest.approx(expected, abs=1e-3)


def test_aggregates_are_rliables() -> None:
    """The numbers are what rliable 1.2.0's metrics.py gives, loaded alone: see decision 20."""
    x = np.array(
        [[0.1, 0.5, 0.9], [0.4, 0.7, 0.2], [0.3, 0.3, 0.8], [0.6, 0.1, 0.5], [0.2, 0.9, 0.4]]
    )
    y = np.array(
        [[0.2, 0.4, 0.9], [0.1, 0.6, 0.3], [0.5, 0.3, 0.1], [0.3, 0.2, 0.6], [0.2, 0.8, 0.7]]
    )
    assert interquartile_mean(x) == pytest.approx(0.43333333333333335)
    assert interquartile_mean(x) == pytest.approx(stats.trim_mean(x.ravel(), 0.25))
    assert interquartile_mean(y) == pytest.approx(0.37777777777777777)
    assert probability_of_improvement(x, y) == pytest.approx(0.56)
    u = [stats.mannwhitneyu(x[:, t], y[:, t], alternative="greater").statistic for t in range(3)]
    assert probability_of_improvement(x, y) == pytest.approx(np.mean(u) / 25)
