"""Samplers find more than chance does, at equal budgets and on the same seeds.

What they are given is simulated, so that many searches take seconds; that a search of a trainable
goes the same way is shown first.
"""

import math
from itertools import pairwise
from pathlib import Path

import pytest
from scipy.stats import binomtest, ttest_1samp
from simulated_search import SimulatedSearch, space_of

import qdexp
from qdexp.experiment.search_spec import SamplerName
from qdexp.experiment.trial import Condition

QUADRATIC = {name: {"low": -5.0, "high": 5.0} for name in ("x", "y", "z")}
FROM = {"x": 3.0, "y": 3.0, "z": 3.0}
PEAK = {"x": 1.0, "y": -2.0, "z": 0.5}
MAX_STEPS = 60


def error(values: Condition) -> tuple[float, ...]:
    """Squared distance from a point inside the space."""
    return (sum((values[name] - PEAK[name]) ** 2 for name in PEAK),)


def tradeoff(values: Condition) -> tuple[float, ...]:
    """ZDT1 in three parameters; its front is f2 = 1 - sqrt(f1) where y and z are 0.

    Zitzler, Deb and Thiele, Comparison of multiobjective evolutionary algorithms, 2000.
    """
    rest = 1 + 9 * (values["y"] + values["z"]) / 2
    return values["x"], rest * (1 - math.sqrt(values["x"] / rest))


def hypervolume(points: list[tuple[float, ...]], corner: tuple[float, float]) -> float:
    """Returns the area that points of two objectives, both to be small, dominate below a corner."""
    inside = sorted({point for point in points if point[0] < corner[0] and point[1] < corner[1]})
    front: list[tuple[float, ...]] = []
    for point in inside:
        if not front or point[1] < front[-1][1]:
            front.append(point)
    ends = [*(point[0] for point in front), corner[0]]
    widths = [right - left for left, right in pairwise(ends)]
    return sum(width * (corner[1] - point[1]) for width, point in zip(widths, front, strict=True))


def gains(sampler: SamplerName, num_seeds: int, number: int, **options: int) -> list[float]:
    """Returns by how much a sampler's best is below chance's, in orders of magnitude, per seed."""
    space = space_of(QUADRATIC, FROM)

    def best(name: SamplerName, seed: int) -> float:
        given = options if name == sampler else {}
        search = SimulatedSearch(
            space=space, baseline=FROM, values=error, sampler=name, seed=seed, options=given
        )
        return search.run(number).best

    return [math.log10(best("random", seed) / best(sampler, seed)) for seed in range(num_seeds)]


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("tpe", {"n_startup_trials": 4}),
        ("nsga2", {"population_size": 4}),
        ("quasi_random", {}),
        ("random", {}),
        pytest.param("gp", {"n_startup_trials": 4}, marks=pytest.mark.slow),
    ],
)
def test_search_of_a_toy_trainable_suggests_what_the_simulated_one_does(
    tmp_path: Path, sampler: SamplerName, options: dict[str, int]
) -> None:
    parameters = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.01, "high": 1.0, "log": True}}
    where, number = "x < 0.9", 8 if sampler == "gp" else 12
    content = {
        "name": "hill",
        "question": "Where is it lowest?",
        "trainable": "own_trainables:hill",
        "space": parameters,
        "where": where,
        "sampler": {"name": sampler, "seed": 3, **options},
        "metrics": {"primary": "error"},
        "budget": {"trials": number},
    }
    done = qdexp.search(content, executor="inline", runs=tmp_path, report=False, tracking=False)
    values_of = {repr(each.suggestion.values): each.told for each in done.suggestions}

    def measured(values: Condition) -> tuple[float, ...]:
        told = values_of[repr(values)]
        assert told is not None
        return told.values

    baseline = {"x": 0.5, "y": 0.5}
    simulated = SimulatedSearch(
        space=space_of(parameters, baseline, where),
        baseline=baseline,
        values=measured,
        sampler=sampler,
        seed=3,
        options=options,
    ).run(number)
    assert simulated.suggested == [each.suggestion.values for each in done.suggestions]


@pytest.mark.slow
def test_tpe_beats_chance() -> None:
    found = gains("tpe", num_seeds=20, number=50)
    interval = ttest_1samp(found, 0.0).confidence_interval(0.95)
    assert interval.low > 0
    assert binomtest(sum(gain > 0 for gain in found), 20, alternative="greater").pvalue < 0.05


@pytest.mark.slow
def test_gaussian_process_beats_chance() -> None:
    found = gains("gp", num_seeds=5, number=12, n_startup_trials=6)
    assert ttest_1samp(found, 0.0).confidence_interval(0.95).low > 0


def test_hypervolume_of_known_fronts() -> None:
    assert hypervolume([(0.0, 0.0)], (1.0, 2.0)) == 2.0
    assert hypervolume([(0.0, 0.5), (0.5, 0.0), (0.6, 0.6)], (1.0, 1.0)) == 0.75
    assert hypervolume([(2.0, 2.0)], (1.0, 1.0)) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "options"), [("tpe", {}), ("nsga2", {"population_size": 12})])
def test_front_of_two_objectives_comes_closer_to_the_known_one_than_by_chance(
    sampler: SamplerName, options: dict[str, int]
) -> None:
    space = space_of({name: {"low": 0.0, "high": 1.0} for name in "xyz"}, dict.fromkeys("xyz", 0.5))
    corner = (1.1, 5.0)
    # 1.1 * 5 less the area below the front, and what is right of it: 1 - 2/3, and 0.
    known = corner[0] * corner[1] - 1 / 3

    def missing(name: SamplerName, seed: int) -> float:
        search = SimulatedSearch(
            space=space,
            baseline=dict.fromkeys("xyz", 0.5),
            values=tradeoff,
            sampler=name,
            seed=seed,
            options=options if name == sampler else {},
            directions=("lower", "lower"),
        )
        left = known - hypervolume(search.run(MAX_STEPS).found, corner)
        assert left > 0
        return left

    found = [math.log(missing("random", seed) / missing(sampler, seed)) for seed in range(6)]
    assert ttest_1samp(found, 0.0).confidence_interval(0.95).low > 0
