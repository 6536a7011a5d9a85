"""Contrasts, effects, ANOVA, Holm and TOST are those of scipy and statsmodels.

Both are called directly, on data frames as a reader of the ledger would make them.
"""

import math

import numpy as np
import pandas as pd
import pytest
from qdexp_analysis.contrasts import Margin, judge
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from tests.parity.drawn_experiments import (
    TWO_BY_TWO,
    Levels,
    conditions_of,
    drawn,
    effects_of,
    scores_of,
    t_of,
    t_test,
)

SIZES: Levels = {"model.num_embeddings": (64, 256, 4096)}
MIXED: Levels = {
    "model.num_embeddings": (64, 256, 4096),
    "model.quantizer": ("ema", "cosine", "fsq"),
}


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
