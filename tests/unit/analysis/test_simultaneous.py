"""The interval that goes with a verdict never contradicts it, whatever the numbers are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge


@st.composite
def experiments(draw: st.DrawFn) -> Scores:
    """Returns experiments with effects of all sizes, lost trials and few values that repeat."""
    k, s, c = draw(st.integers(2, 6)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 1, 4]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = st.sampled_from([0.0, 0.01, 0.3, 1.0, 3.0, 30.0])
    effects = np.array([0.0, *(draw(sizes) * draw(st.sampled_from([-1, 1])) for _ in range(k - 1))])
    base = draw(st.sampled_from([0.0, 5.0, -5.0, 100.0]))
    noise = draw(st.sampled_from([0.0, 0.1, 1.0]))
    values = base + effects[:, None, None] + noise * random.normal(size=(k, s, c))
    values += 0.3 * random.normal(size=(1, s, 1))
    lost = random.choice(3, size=(k, s), p=draw(st.sampled_from([(1, 0, 0), (0.6, 0.2, 0.2)])))
    values[lost > 0] = np.nan
    is_lower_better = draw(st.booleans())
    return Scores(
        values=values,
        diverged=lost == 1,
        failed=lost == 2,
        direction="lower" if is_lower_better else "higher",
    )


margins = st.none() | st.builds(
    Margin, value=st.sampled_from([0.02, 0.5, 2.0]), is_relative=st.booleans()
)


@given(scores=experiments(), margin=margins)
@settings(max_examples=400, deadline=None)
def test_interval_and_verdict_agree(scores: Scores, margin: Margin | None) -> None:
    for contrast in judge(scores, 0, margin):
        assert (contrast.doubt is None) == (contrast.verdict != "undecided")
        if contrast.simultaneous is None:
            assert contrast.verdict in ("undecided", "equivalent")
            continue
        _assert_agreement(contrast, margin, is_lower_better=scores.direction == "lower")


def _assert_agreement(contrast: Contrast, margin: Margin | None, *, is_lower_better: bool) -> None:
    assert contrast.simultaneous is not None
    assert contrast.estimate is not None
    low, high = contrast.simultaneous
    assert np.isfinite([low, high]).all()
    assert low <= contrast.estimate.mean <= high
    within = margin.around(contrast.baseline_mean) if margin else 0.0
    is_inside = margin is not None and -within <= low and high <= within
    if contrast.verdict == "undecided":
        assert low <= 0 <= high
        assert not is_inside or low == -within or high == within
    elif contrast.verdict == "equivalent":
        assert is_inside
    else:
        is_low = (contrast.verdict == "better") == is_lower_better
        assert high <= 0 if is_low else low >= 0
        assert not is_inside or low == -within or high == within


def _scores(effects: list[float], noise: float = 0.5, seeds: int = 5) -> Scores:
    own = noise * np.random.default_rng(2).normal(size=(len(effects), seeds, 1))
    return Scores(
        values=10 + np.array(effects)[:, None, None] + own,
        diverged=np.zeros((len(effects), seeds), dtype=bool),
        direction="lower",
    )


def test_one_contrast_alone_has_its_own_interval() -> None:
    (contrast,) = judge(_scores([0.0, 0.3]), 0, None)
    assert contrast.estimate is not None
    assert contrast.simultaneous == pytest.approx(contrast.estimate.interval)


def test_interval_of_a_family_has_bonferronis_level() -> None:
    contrast = judge(_scores([0.0, 0.1, 0.2, 0.3, 0.1]), 0, None)[0]
    assert contrast.estimate is not None
    assert contrast.simultaneous == pytest.approx(contrast.estimate.interval_at(1 - 0.05 / 4))


def test_what_only_holms_later_steps_find_is_cut_at_0() -> None:
    scores = _scores([0.0, -9.0, -9.0, -9.0, -1.3], noise=0.4)
    last = judge(scores, 0, None)[-1]
    assert last.estimate is not None
    uncut = last.estimate.interval_at(1 - 0.05 / 4)
    assert uncut is not None
    assert uncut[0] < 0 < uncut[1]
    assert last.verdict == "better"
    assert last.simultaneous == (uncut[0], 0.0)


def test_interval_reaches_over_0_where_the_verdict_hangs_on_a_diverged_trial() -> None:
    scores = _scores([0.0, -2.0, 6.0], noise=0.2)
    values, diverged = scores.values.copy(), scores.diverged.copy()
    values[1, 0], diverged[1, 0] = np.nan, True
    contrast = judge(replace(scores, values=values, diverged=diverged), 0, None)[0]
    assert (contrast.verdict, contrast.doubt) == ("undecided", "diverged")
    assert contrast.simultaneous is not None
    assert contrast.simultaneous[0] < 0 < contrast.simultaneous[1]


def test_interval_reaches_to_the_margin_where_equivalence_hangs_on_a_diverged_trial() -> None:
    values = np.array([[[5.0], [5.3], [np.nan], [4.9]]] * 2 + [[[35.0], [35.3], [35.1], [34.9]]])
    scores = Scores(values=values, diverged=np.isnan(values[:, :, 0]), direction="lower")
    margin = Margin(value=0.02, is_relative=True)
    contrast = judge(scores, 0, margin)[0]
    assert (contrast.verdict, contrast.doubt) == ("undecided", "diverged")
    assert contrast.simultaneous is not None
    within = margin.around(contrast.baseline_mean)
    assert within in (-contrast.simultaneous[0], contrast.simultaneous[1])
