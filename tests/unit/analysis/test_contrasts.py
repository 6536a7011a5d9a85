"""Verdicts: families, equivalence, divergence, and how often they are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from qdexp_analysis.contrasts import Margin, Scores, holm, judge
from statsmodels.stats.multitest import multipletests


def _scores(
    effects: list[float], *, seeds: int = 4, clips: int = 16, noise: float = 0.01
) -> Scores:
    draw = np.random.default_rng(5)
    shared = 1 + draw.normal(0, 0.3, (1, seeds, 1)) + draw.normal(0, 0.3, (1, 1, clips))
    own = draw.normal(0, noise, (len(effects), seeds, clips))
    values = shared + np.array(effects)[:, None, None] + own
    return Scores(
        values=values, diverged=np.zeros((len(effects), seeds), dtype=bool), direction="lower"
    )


def _simulated(
    draw: np.random.Generator, effect: float, *, by_seed: float = 1.0, by_clip: float = 1.0
) -> Scores:
    """Returns four conditions that all differ from the first by `effect`, over 3 seeds, 12 clips.

    Args:
        draw: The source of all noise.
        effect: The true difference.
        by_seed: Standard deviation that a seed adds to one condition alone.
        by_clip: Likewise for a clip.
    """
    shared = draw.normal(0, 3, (1, 3, 1)) + draw.normal(0, 3, (1, 1, 12))
    own = by_seed * draw.normal(size=(4, 3, 1)) + by_clip * draw.normal(size=(4, 1, 12))
    values = 100 + shared + own + by_seed * draw.normal(size=(4, 3, 12))
    values[1:] += effect
    return Scores(values=values, diverged=np.zeros((4, 3), dtype=bool), direction="lower")


def test_lower_is_better_or_worse_as_the_metric_says() -> None:
    scores = _scores([0.0, -0.2, 0.2])
    assert [c.verdict for c in judge(scores, 0, None)] == ["better", "worse"]
    upward = replace(scores, direction="higher")
    assert [c.verdict for c in judge(upward, 0, None)] == ["worse", "better"]


def test_equivalent_wins_where_the_difference_is_also_significant() -> None:
    (contrast,) = judge(_scores([0.0, 0.02]), 0, Margin(value=0.05, is_relative=False))
    assert contrast.p is not None
    assert contrast.p < 0.05
    assert contrast.verdict == "equivalent"


def test_relative_margin_is_a_share_of_each_pairs_baseline() -> None:
    scores = _scores([0.0, 0.0])
    doubled = replace(scores, values=scores.values * 2)
    margin = Margin(value=0.03, is_relative=True)
    one, other = judge(scores, 0, margin)[0], judge(doubled, 0, margin)[0]
    assert one.verdict == "equivalent"
    assert one.p_equivalent == pytest.approx(other.p_equivalent)


def test_holm_agrees_with_statsmodels_and_counts_a_missing_p_value_as_1() -> None:
    p_values = [0.04, 0.001, 0.5, 0.02]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([0.02, None]) == [pytest.approx(0.04), None]


def test_only_complete_pairs_enter_a_contrast() -> None:
    scores = _scores([0.0, -0.2])
    values = scores.values.copy()
    values[0, 1] = np.nan
    (contrast,) = judge(replace(scores, values=values), 0, None)
    assert contrast.seeds == (0, 2, 3)
    assert contrast.estimate is not None
    assert contrast.estimate.mean == pytest.approx(
        (values[1, [0, 2, 3]] - values[0, [0, 2, 3]]).mean()
    )


def test_verdict_that_hangs_on_a_diverged_trial_is_not_stated() -> None:
    scores = _scores([0.0, -0.05, 0.4])
    values, diverged = scores.values.copy(), scores.diverged.copy()
    values[1, 0], diverged[1, 0] = np.nan, True
    observed = judge(replace(scores, values=values), 0, None)[0]
    careful = judge(replace(scores, values=values, diverged=diverged), 0, None)[0]
    assert observed.verdict == "better"
    assert (careful.verdict, careful.doubt) == ("undecided", "diverged")


@pytest.mark.parametrize(
    ("scores", "doubt"),
    [
        (_scores([0.0, 0.1], seeds=1), "one_seed"),
        (replace(_scores([0.0, 0.1]), values=np.ones((2, 4, 16))), "no_variance"),
        (replace(_scores([0.0, 0.1]), values=np.full((2, 4, 16), np.nan)), "no_pairs"),
    ],
)
def test_what_cannot_be_judged_is_undecided_with_its_reason(scores: Scores, doubt: str) -> None:
    (contrast,) = judge(scores, 0, None)
    assert (contrast.verdict, contrast.doubt, contrast.p) == ("undecided", doubt, None)


@pytest.mark.parametrize(
    ("by_seed", "by_clip"), [(1.0, 1.0), (1.0, 0.05), (0.05, 1.0)], ids=["both", "seeds", "clips"]
)
def test_simulated_experiments_without_effect_rarely_get_a_verdict_and_are_covered(
    by_seed: float, by_clip: float
) -> None:
    draw = np.random.default_rng(2024)
    covered, false_verdicts, number = [], 0, 500
    for _ in range(number):
        contrasts = judge(_simulated(draw, 0.0, by_seed=by_seed, by_clip=by_clip), 0, None)
        false_verdicts += any(c.verdict != "undecided" for c in contrasts)
        for contrast in contrasts:
            assert contrast.estimate is not None
            assert contrast.estimate.interval is not None
            low, high = contrast.estimate.interval
            covered.append(low <= 0 <= high)
    assert 0.93 <= np.mean(covered) <= 0.98
    # 5 % and two standard errors of a share over 500; an analysis that never decides has 0.
    assert 1 <= false_verdicts <= 0.07 * number


def test_simulated_differences_at_the_margin_are_rarely_called_equivalent() -> None:
    draw = np.random.default_rng(7)
    number, wrong = 400, 0
    for _ in range(number):
        contrasts = judge(_simulated(draw, 5.0), 0, Margin(value=5.0, is_relative=False))
        wrong += any(c.verdict == "equivalent" for c in contrasts)
    assert 1 <= wrong <= 0.072 * number


def test_simulated_large_differences_are_found() -> None:
    draw = np.random.default_rng(9)
    verdicts = [c.verdict for _ in range(50) for c in judge(_simulated(draw, -12.0), 0, None)]
    assert verdicts.count("better") >= 0.75 * len(verdicts)
