"""Contrasts, effects, ANOVA, Holm, TOST and sizes are those of scipy and statsmodels, and by hand.

Both are called directly, on data frames as a reader of the ledger would make them.
"""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from qdexp_analysis.aggregates import interquartile_mean, probability_of_improvement
from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge
from qdexp_analysis.design import read_design
from qdexp_analysis.effect_sizes import effect_size, hedges_correction
from qdexp_analysis.effects import Effect, factorial_effects
from qdexp_analysis.factor import read_factors
from qdexp_analysis.intervals import StandardError, estimate
from qdexp_analysis.noncentral import noncentral_cdf
from qdexp_analysis.planning import power
from qdexp_analysis.slopes import DoseResponse, dose_responses
from scipy import special, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

Levels = dict[str, tuple[object, ...]]

SIZES: Levels = {"model.num_embeddings": (64, 256, 4096)}
TWO_BY_TWO: Levels = {"model.num_embeddings": (64, 256), "training.learning_rate": (0.001, 0.01)}
MIXED: Levels = {
    "model.num_embeddings": (64, 256, 4096),
    "model.quantizer": ("ema", "cosine", "fsq"),
}


def conditions_of(levels: Levels) -> list[dict[str, object]]:
    return [
        dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())
    ]


def effects_of(
    values: np.ndarray, levels: Levels
) -> tuple[tuple[Effect, ...], tuple[DoseResponse, ...]]:
    """Returns the effects and dose responses of a full factorial's values (conditions, seeds)."""
    definition = {
        "design": "full_factorial",
        "factors": [
            {"field": field, "levels": list(of), "baseline": of[0]} for field, of in levels.items()
        ],
    }
    conditions = conditions_of(levels)
    design = read_design(definition, read_factors(definition), conditions)
    scores = scores_of(values)
    effects = factorial_effects(scores, conditions, design)
    return effects, dose_responses(scores, conditions, design, None, effects)


def scores_of(values: np.ndarray) -> Scores:
    return Scores(
        values=values[:, :, None], diverged=np.zeros(values.shape, dtype=bool), direction="lower"
    )


def drawn(num_conditions: int, num_seeds: int = 5) -> np.ndarray:
    draw = np.random.default_rng([num_conditions, num_seeds])
    return 1 + draw.normal(0, 0.1, (num_conditions, num_seeds)) + draw.normal(0, 0.3, num_seeds)


def frame(values: np.ndarray, levels: Levels) -> pd.DataFrame:
    """Returns one row for each trial: the factors' short names, seed and y."""
    return pd.DataFrame(
        [
            {field.partition(".")[2]: level for field, level in condition.items()}
            | {"seed": seed, "y": values[k, seed]}
            for k, condition in enumerate(conditions_of(levels))
            for seed in range(values.shape[1])
        ]
    )


def t_test(values: np.ndarray, alternative: str = "two-sided") -> tuple[float, float]:
    """Returns scipy's t and p of a mean of 0."""
    t, p = np.array(stats.ttest_1samp(values, 0, alternative=alternative)).tolist()
    return t, p


def t_of(contrast: Contrast) -> float:
    assert contrast.estimate is not None
    assert contrast.estimate.same_clips is not None
    return contrast.estimate.mean / contrast.estimate.same_clips.value


def test_contrasts_and_their_family_are_those_of_scipy_and_statsmodels() -> None:
    values = drawn(4)
    contrasts = judge(scores_of(values), 1, None)
    raw = [stats.ttest_rel(values[k], values[1]) for k in (0, 2, 3)]
    assert [t_of(c) for c in contrasts] == pytest.approx([test.statistic for test in raw])
    corrected = multipletests([test.pvalue for test in raw], method="holm")[1]
    assert [c.p for c in contrasts] == pytest.approx(corrected)
    for contrast, k in zip(contrasts, (0, 2, 3), strict=True):
        assert contrast.estimate is not None
        assert contrast.estimate.interval == pytest.approx(
            DescrStatsW(values[k] - values[1]).tconfint_mean()
        )


def test_equivalence_is_that_of_statsmodels_and_a_relative_one_that_of_two_t_tests() -> None:
    values = drawn(3, 8)
    raw = [ttost_paired(values[k], values[0], -0.2, 0.2)[0] for k in (1, 2)]
    found = judge(scores_of(values), 0, Margin(value=0.2, is_relative=False))
    assert [c.p_equivalent for c in found] == pytest.approx(multipletests(raw, method="holm")[1])
    relative = [
        max(
            t_test(values[k] - 0.8 * values[0], "greater")[1],
            t_test(values[k] - 1.2 * values[0], "less")[1],
        )
        for k in (1, 2)
    ]
    found = judge(scores_of(values), 0, Margin(value=0.2, is_relative=True))
    corrected = multipletests(relative, method="holm")[1]
    assert [c.p_equivalent for c in found] == pytest.approx(corrected)


def test_effects_of_two_levels_are_the_repeated_measures_anovas() -> None:
    """With the seed as subject, F of one degree of freedom is the square of an effect's t."""
    values = drawn(4, 6)
    effects, _ = effects_of(values, TWO_BY_TWO)
    table = (
        AnovaRM(frame(values, TWO_BY_TWO), "y", "seed", within=["num_embeddings", "learning_rate"])
        .fit()
        .anova_table
    )
    assert [t_of(e.contrast) ** 2 for e in effects] == pytest.approx(table["F Value"].tolist())
    corrected = multipletests(table["Pr > F"], method="holm")[1]
    assert [e.p for e in effects] == pytest.approx(corrected)


def test_effects_of_many_levels_are_least_squares_of_each_seed_and_a_t_test_over_them() -> None:
    """Ordered x unordered: ordinary least squares of statsmodels, seed by seed."""
    values = drawn(9)
    effects, _ = effects_of(values, MIXED)
    rows = frame(values, MIXED)
    span = math.log(4096 / 64)
    rows["x"] = np.log(rows["num_embeddings"].astype(float)) / span
    rows["x"] -= rows["x"].mean()
    coefficients = []
    for _, of_seed in rows.groupby("seed"):
        fit = ols("y ~ x * C(quantizer, Treatment('ema'))", of_seed).fit().params
        a, b = (f"C(quantizer, Treatment('ema'))[T.{kind}]" for kind in ("cosine", "fsq"))
        products = [fit[f"x:{each}"] for each in (a, b)]
        coefficients.append([fit["x"] + sum(products) / 3, fit[a], fit[b], *products])
    tests = [t_test(each) for each in np.transpose(coefficients)]
    assert [e.estimate.mean for e in effects] == pytest.approx(np.mean(coefficients, axis=0))
    assert [t_of(e.contrast) for e in effects] == pytest.approx([t for t, _ in tests])
    assert [e.p for e in effects] == pytest.approx(
        multipletests([p for _, p in tests], method="holm")[1]
    )


def test_a_dose_response_is_a_line_and_a_parabola_of_each_seed() -> None:
    values = drawn(3)
    _, (dose,) = effects_of(values, SIZES)
    x = np.log([64, 256, 4096]) / math.log(64)
    lines = np.array([stats.linregress(x, values[:, seed])[0] for seed in range(5)])
    assert dose.slope.estimate is not None
    assert (dose.slope.estimate.mean, dose.slope.p) == pytest.approx(
        (lines.mean(), t_test(lines)[1])
    )
    parabolas = [np.polynomial.Polynomial.fit(x, values[:, seed], 2) for seed in range(5)]
    middle = (x[0] + x[2]) / 2
    bends = [p(middle) - (p(x[0]) + p(x[2])) / 2 for p in parabolas]
    assert dose.bend.estimate is not None
    assert dose.bend.estimate.mean == pytest.approx(np.mean(bends))
    assert dose.bend.p == pytest.approx(t_test(np.array(bends))[1])
    assert dose.num_doublings == pytest.approx(6)


def test_pooled_anova_has_the_same_effects_and_an_error_that_is_not_theirs() -> None:
    """Each seed has a slope of its own, and there is none on average."""
    levels: Levels = {
        "model.num_embeddings": (64, 256, 1024, 4096),
        "training.learning_rate": (0.001, 0.01),
    }
    draw = np.random.default_rng(6)
    x = np.repeat(np.arange(4) - 1.5, 2)
    number, pooled, ours = 400, 0, 0
    for _ in range(number):
        slopes = draw.normal(0, 0.3, 5)
        values = x[:, None] * slopes + draw.normal(0, 0.3, (8, 5)) + draw.normal(0, 1, 5)
        effect = effects_of(values, levels)[0][0]
        assert effect.estimate.same_clips is not None
        ours += effect.estimate.same_clips.p_two_sided(effect.estimate.mean) <= 0.05
        pooled += _pooled_p(values, x) <= 0.05
    assert ours <= 0.05 * number + 2 * math.sqrt(0.05 * 0.95 * number)
    assert pooled >= 0.3 * number


def _pooled_p(values: np.ndarray, x: np.ndarray) -> float:
    """Returns the p value of a slope with one error for all seeds, which are blocks."""
    centred = values - values.mean(axis=0)
    slope = (x[:, None] * centred).sum() / (5 * (x**2).sum())
    rest = ((centred - slope * x[:, None]) ** 2).sum()
    df = values.size - 5 - 1
    return float(stats.f.sf(slope**2 * 5 * (x**2).sum() / (rest / df), 1, df))


def test_the_pooled_anova_of_that_test_is_statsmodels() -> None:
    levels: Levels = {
        "model.num_embeddings": (64, 256, 1024, 4096),
        "training.learning_rate": (0.001, 0.01),
    }
    values = drawn(8)
    rows = frame(values, levels)
    rows["x"] = np.log2(rows["num_embeddings"].astype(float))
    table = anova_lm(ols("y ~ C(seed) + x", rows).fit())
    assert _pooled_p(values, np.repeat(np.arange(4) - 1.5, 2)) == pytest.approx(
        table.loc["x", "PR(>F)"]
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
