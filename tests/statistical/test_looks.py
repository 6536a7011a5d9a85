"""Looking again after each added seed costs nothing in error, and saves seeds.

The figures over more experiments: `make calibration`, docs/calibration.md.
"""

import numpy as np
import pytest
from looking import (
    ADAPTIVE,
    AT_THE_MARGIN,
    BY_HAND_CHECK,
    COVERED,
    FIXED,
    NO_EFFECT,
    SCHEDULE,
    LookCheck,
    World,
    at_most,
    covers,
    is_decided,
    share,
    simulated,
)
from qdexp_analysis import null_law
from qdexp_analysis.intervals import StandardError, estimate
from qdexp_analysis.looks import Looks
from qdexp_analysis.planning import family_level, minimum_detectable
from scipy import stats


@pytest.mark.parametrize("check", NO_EFFECT, ids=lambda check: check.name)
def test_no_effect_is_found_where_there_is_none(check: LookCheck) -> None:
    assert check.figure().value <= at_most(0.05, check.number)


def test_raising_seeds_by_hand_finds_none_either() -> None:
    assert BY_HAND_CHECK.figure().value <= at_most(0.05, 1000)


def test_uncorrected_looks_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looks, "are_several", False)
    assert share(simulated(World(), ADAPTIVE, number=1000), is_decided) > 1.5 * at_most(0.05, 1000)


def test_a_difference_at_the_margin_is_not_called_equivalent() -> None:
    assert AT_THE_MARGIN.figure().value <= at_most(0.05, 1000)


def test_uncorrected_sides_of_equivalence_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looks, "one_sided", lambda _self, p: p)
    assert AT_THE_MARGIN.figure().value > at_most(0.05, 1000)


@pytest.mark.parametrize("check", COVERED, ids=lambda check: check.name)
def test_intervals_cover_the_truth_whichever_look_was_the_last(check: LookCheck) -> None:
    assert check.figure().value >= 0.94


def test_intervals_without_the_level_of_the_look_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Looks, "at_level", lambda _self, estimate: estimate)
    effects = (0.7, 1.5, -2.5)
    hits = [
        covers(contrast, effects[contrast.condition - 1])
        for each in simulated(World(effects=effects), ADAPTIVE, number=1000)
        for contrast in each.contrasts
    ]
    assert np.mean(hits) < 0.94


def design_effect(num_contrasts: int, spread: float = 1.0, num_seeds: int = 12) -> float:
    """Returns the effect that a fixed design of so many seeds finds four times in five."""
    error = StandardError(value=spread / np.sqrt(num_seeds), df=num_seeds - 1)
    return minimum_detectable(error, family_level(num_contrasts))


def test_fewer_seeds_are_needed_where_the_effect_is_twice_what_was_planned_for() -> None:
    spread = 0.7 * np.sqrt(2)  # of a difference of two
    large = 2 * design_effect(3, spread)
    world = World(effects=(large, -large, large))
    judged = simulated(world, ADAPTIVE, number=1000)

    seeds = np.mean([each.wanted for each in judged])
    fixed = simulated(world, FIXED, number=1000)
    found, found_by_fixed = (
        np.mean([is_decided(contrast) for each in them for contrast in each.contrasts])
        for them in (judged, fixed)
    )
    assert seeds < 0.7 * 12
    assert found >= 0.99
    assert found_by_fixed >= 0.99


def test_what_is_planned_for_is_found_nearly_as_often_as_by_the_fixed_design() -> None:
    planned = design_effect(3, 0.7 * np.sqrt(2))
    judged = simulated(World(effects=(planned, 0.0, 0.0)), ADAPTIVE, number=1000)
    found = np.mean([is_decided(each.contrasts[0]) for each in judged])
    assert 0.6 < found < 0.85


def test_known_levels_of_the_default_schedule_are_what_the_file_has() -> None:
    assert null_law.null_law(SCHEDULE, 2).nominal(0.05) == pytest.approx(0.0157, abs=0.0002)
    assert null_law.null_law(SCHEDULE, 1).nominal(0.05) == pytest.approx(0.0170, abs=0.0003)


def test_a_look_at_every_seed_costs_more() -> None:
    each = tuple(range(3, 13))
    assert null_law.null_law(each, 2).nominal(0.05) == pytest.approx(0.0106, abs=0.0004)


def test_the_file_is_what_the_same_simulation_gives() -> None:
    """Other draws than the file's many: equal up to what chance does to them."""
    fresh = null_law.simulated([SCHEDULE], 200_000)[SCHEDULE]
    for sides in (1, 2):
        kept = null_law.null_law(SCHEDULE, sides).chances
        error = np.sqrt(kept * (1 - kept) / 200_000)
        assert (np.abs(fresh[sides] - kept) <= 5 * error + 1e-5).all()


def test_one_look_and_two_looks_have_the_laws_that_are_known() -> None:
    grid = null_law.GRID
    alone = null_law.simulated([(5,)], 200_000)[(5,)][2]
    assert np.abs(alone - grid).max() < 0.005
    chances = null_law.simulated([(2, 100)], 200_000)[2, 100][2]  # as good as independent
    assert np.abs(chances - (1 - (1 - grid) ** 2)).max() < 0.005


@pytest.mark.parametrize("sides", [1, 2])
def test_a_law_is_between_one_test_and_bonferroni(sides: int) -> None:
    law = null_law.null_law(SCHEDULE, sides)
    for p in (1e-9, 1e-5, 1e-3, 0.0157, 0.3, 1.0):
        assert p <= law.chance(p) * (1 + 1e-9)
        assert law.chance(p) <= min(1.0, len(SCHEDULE) * p) * 1.1
    for chance in (1e-8, 1e-4, 0.05, 0.5):
        assert law.chance(law.nominal(chance)) == pytest.approx(chance, rel=0.05)


def test_p_values_of_the_smallest_are_uniform() -> None:
    """An analysis that never decides would keep every error rate: this one does not."""
    draw = np.random.default_rng(5)
    smallest = [
        min(
            Looks(schedule=SCHEDULE).two_sided(estimate(rows[:number]).p_two_sided) or 1.0
            for number in SCHEDULE
        )
        for rows in draw.normal(size=(2000, 12, 1))
    ]
    assert stats.kstest(smallest, "uniform").pvalue > 0.01
    large = simulated(World(effects=(3.0,), scales=(0.7, 0.7)), ADAPTIVE, number=200)
    assert share(large, is_decided) > 0.99
    assert np.mean([each.wanted[1] for each in large]) < 6
