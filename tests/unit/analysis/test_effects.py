"""Effects of factors, their interactions, and how the effects differ from level to level."""

import math

import numpy as np
import pytest
from qdexp_analysis.contrasts import Margin
from qdexp_analysis.effect_sizes import effect_size
from qdexp_analysis.effects import factorial_effects, judge_changes
from qdexp_analysis.interactions import cells, simple_effects
from qdexp_analysis.slopes import dose_responses

from tests.unit.analysis.factorials import SIZE, grid, noisy, scores_of


def test_factors_without_order_have_effects_and_interactions_too() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine", "fsq"))
    means = [1.0, 1.1, 1.2, 1.0, 1.1, 1.4]
    effects = factorial_effects(noisy(means), conditions, design)
    named = [" x ".join(str(ends[1]) for ends in effect.ends) for effect in effects]
    size = f"{{'{SIZE}': 256}}"
    cosine, fsq = (f"{{'model.quantizer': '{kind}'}}" for kind in ("cosine", "fsq"))
    assert named == [size, cosine, fsq, f"{size} x {cosine}", f"{size} x {fsq}"]
    found = [effect.estimate.mean for effect in effects]
    assert found == pytest.approx([0.2 / 3, 0.1, 0.3, 0.0, 0.2], abs=0.006)
    assert [e.contrast.verdict for e in effects] == [
        "worse", "worse", "worse", "undecided", "worse",
    ]  # fmt: skip


def test_an_effect_within_the_margin_is_equivalent_to_none() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"))
    margin = Margin(value=0.02, is_relative=True)
    effects = factorial_effects(noisy([1.0, 1.1, 1.0, 1.1]), conditions, design, margin)
    assert [e.contrast.verdict for e in effects] == ["equivalent", "worse", "equivalent"]


def test_simple_effects_are_listed_where_an_interaction_holds_and_only_there() -> None:
    conditions, design = grid(size=(64, 256, 1024), kind=("ema", "cosine"))
    scores = noisy([1.0, 1.1, 0.9, 1.1, 0.8, 1.1])
    effects = factorial_effects(scores, conditions, design)
    simple = simple_effects(scores, conditions, design, None, effects)
    assert [(s.axis.name, *s.at.values()) for s in simple] == [
        ("num_embeddings", "ema"), ("num_embeddings", "cosine"),
        ("quantizer", 64), ("quantizer", 256), ("quantizer", 1024),
    ]  # fmt: skip
    means = [s.contrast.estimate.mean for s in simple if s.contrast.estimate]
    assert means == pytest.approx([-0.2, 0, 0.1, 0.2, 0.3], abs=0.006)
    assert [s.contrast.verdict for s in simple] == [
        "better", "undecided", "worse", "worse", "worse",
    ]  # fmt: skip
    additive = noisy([1.0, 1.1, 0.9, 1.0, 0.8, 0.9])
    effects = factorial_effects(additive, conditions, design)
    assert simple_effects(additive, conditions, design, None, effects) == ()


def test_cells_are_the_contrasts_and_what_both_effects_do_not_add_up_to() -> None:
    conditions, design = grid(size=(256, 64), kind=("ema", "cosine"))
    exact = scores_of(np.array([[1.0, 2], [1.1, 2.2], [0.9, 1.8], [1.2, 2.4]]))
    (table,) = cells(exact, conditions, design, ())
    assert [row[SIZE] for row in table.levels[0]] == [64, 256], "numbers ascend"
    assert table.shares == pytest.approx(np.array([[-0.1, 0.2], [0.0, 0.1]]))
    assert table.beyond == pytest.approx(np.array([[-0.05, 0.05], [0.05, -0.05]]))


def test_cells_of_two_factors_are_means_over_the_third_and_shown_where_they_interact() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"), rate=(0.1, 0.2))
    means = [1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.3, 1.4]
    scores = noisy(means)
    (table,) = cells(scores, conditions, design, factorial_effects(scores, conditions, design))
    assert [axis.name for axis in table.axes] == ["num_embeddings", "quantizer"]
    assert table.shares == pytest.approx(np.array([[0, 0], [0, 0.3]]), abs=0.01)


def test_a_cell_without_a_pair_is_empty_and_then_nothing_is_said_to_be_left() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"))
    scores = noisy([1.0, 1.1, 1.0, 1.2])
    scores.values[3] = np.nan
    (table,) = cells(scores, conditions, design, ())
    assert math.isnan(table.shares[1, 1])
    assert table.beyond is None


def test_a_dose_response_of_one_factor_rises_bends_and_turns() -> None:
    conditions, design = grid(size=(64, 256, 1024))
    (falls,) = dose_responses(noisy([1.0, 0.9, 0.8]), conditions, design, None, ())
    assert falls.slope.estimate is not None
    assert falls.slope.estimate.mean == pytest.approx(-0.2, abs=0.005)
    assert falls.slope.p is not None
    assert falls.slope.p < 0.001
    assert not falls.is_bent
    (turns,) = dose_responses(noisy([1.0, 0.8, 1.0]), conditions, design, None, ())
    assert (turns.is_bent, turns.turns) == (True, True)
    assert turns.bend.estimate is not None
    assert turns.bend.estimate.mean == pytest.approx(-0.2, abs=0.005)
    (levels_off,) = dose_responses(noisy([1.0, 0.85, 0.75]), conditions, design, None, ())
    assert (levels_off.is_bent, levels_off.turns) == (True, False)


def test_two_levels_or_unordered_ones_have_no_dose_response() -> None:
    for levels in ({"size": (64, 256)}, {"kind": ("ema", "cosine", "fsq")}):
        conditions, design = grid(**levels)
        scores = noisy([1.0] * len(conditions))
        assert dose_responses(scores, conditions, design, None, ()) == ()


def test_no_dose_response_where_a_trial_diverged() -> None:
    conditions, design = grid(size=(64, 256, 1024))
    scores = noisy([1.0, 0.9, 0.8])
    scores.values[2, 0], scores.diverged[2, 0] = np.nan, True
    assert dose_responses(scores, conditions, design, None, ()) == ()


ANY = scores_of(np.ones((1, 1)))
"""Scores whose direction is all that counts."""


def test_an_effect_size_needs_two_seeds_and_variance() -> None:
    def size(values: list[float]) -> object:
        changes = np.array(values)[None, :, None]
        (contrast,) = judge_changes(changes, np.ones(changes.shape[1:]), ANY, None, [0, 1, 2])
        return effect_size(contrast)

    assert size([1.0]) is None
    assert size([1.0, 1.0, 1.0]) is None
    assert size([1.0, 2.0, 3.0]) is not None


def test_a_true_effect_size_is_covered_and_not_biased() -> None:
    draw = np.random.default_rng(8)
    covered, sizes = [], []
    for changes in draw.normal(0.8, 1.0, (1000, 1, 5, 1)):
        (contrast,) = judge_changes(changes, np.full((5, 1), 100.0), ANY, None, range(5))
        size = effect_size(contrast)
        assert size is not None
        assert size.g_z is not None
        covered.append(size.interval[0] <= 0.8 <= size.interval[1])
        sizes.append(size.g_z)
    assert 0.933 <= np.mean(covered) <= 0.967
    assert np.mean(sizes) == pytest.approx(0.8, abs=float(2.5 * np.std(sizes) / math.sqrt(1000)))


def test_experiments_without_any_effect_rarely_state_one_in_the_primary_family() -> None:
    """Seeds have slopes of their own: an error pooled over them would state one in 40 %."""
    conditions, design = grid(size=(64, 256, 1024), rate=(0.1, 0.2))
    draw = np.random.default_rng(12)
    x = np.array([-1, -1, 0, 0, 1, 1])[:, None]
    number, wrong = 600, 0
    for _ in range(number):
        own = draw.normal(0, 0.03, (6, 4)) + x * draw.normal(0, 0.05, 4) + draw.normal(0, 0.2, 4)
        effects = factorial_effects(scores_of(1 + own), conditions, design)
        wrong += any(effect.contrast.verdict != "undecided" for effect in effects)
    assert 1 <= wrong <= 0.05 * number + 2 * math.sqrt(0.05 * 0.95 * number)
