"""What is suggested lies in the space, is new, and depends on what the ledger knows alone."""

import random
from collections.abc import Mapping
from statistics import fmean
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_search import SimulatedSearch, as_from_the_ledger, space_of

from qdexp.experiment.search_spec import Direction, Pruning, SamplerName
from qdexp.experiment.space import Space
from qdexp.experiment.trial import Condition
from qdexp.results.suggestions import Told

SAMPLERS: list[tuple[SamplerName, dict[str, Any]]] = [
    ("tpe", {"n_startup_trials": 3}),
    ("nsga2", {"population_size": 3}),
    ("quasi_random", {}),
    ("random", {}),
]
GAUSSIAN_PROCESS: tuple[SamplerName, dict[str, Any]] = ("gp", {"n_startup_trials": 2})
"""Seconds for each suggestion, so that its tests make few."""

each_sampler = pytest.mark.parametrize(
    ("sampler", "options"),
    [*SAMPLERS, pytest.param(*GAUSSIAN_PROCESS, marks=pytest.mark.slow)],
    ids=lambda value: value if isinstance(value, str) else "",
)

BASELINE = {"kind": "a", "x": 0.5, "n": 2, "rate": 0.1, "depth": 3.0}
CONDITIONAL = {
    "kind": {"choices": ["a", "b", "c"]},
    "x": {"low": 0.0, "high": 1.0},
    "n": {"low": 1, "high": 9, "when": "kind == 'b'"},
    "rate": {"low": 0.001, "high": 1.0, "log": True, "when": "n > 4"},
    "depth": {"low": 0.0, "high": 6.0, "step": 0.1},
}
WHERE = "x < 0.8 and depth < 5"
PLAIN = {"x": {"low": 0.0, "high": 1.0}, "depth": {"low": 0.0, "high": 6.0}}


def cost(values: Condition) -> tuple[float, ...]:
    return ((values["x"] - 0.3) ** 2 + values.get("n", 5) / 10 + values["depth"],)


def simulated(sampler: SamplerName, options: Mapping[str, Any], **more: Any) -> SimulatedSearch:  # noqa: ANN401
    space = space_of(CONDITIONAL, BASELINE, WHERE)
    settled: dict[str, Any] = {"space": space, "baseline": BASELINE, "values": cost, **more}
    return SimulatedSearch(sampler=sampler, options=options, **settled)


def check_inside(space: Space, values: Condition) -> None:
    assert space.contains(values, BASELINE)
    assert ("n" in values) == (values["kind"] == "b")
    assert ("rate" in values) == (values.get("n", BASELINE["n"]) > 4)
    assert 0 <= values["x"] < 0.8
    assert values["depth"] in [place / 10 for place in range(50)]


@each_sampler
def test_every_suggestion_is_inside_a_constrained_and_conditional_space(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    search = simulated(sampler, options).run(5 if sampler == "gp" else 40)
    for values in search.suggested:
        check_inside(search.space, values)
    if sampler != "gp":  # which is too slow to meet each case
        assert any("rate" in values for values in search.suggested)
    assert any("n" not in values for values in search.suggested)


@settings(max_examples=25, deadline=None)
@given(sampler=st.sampled_from(SAMPLERS), seed=st.integers(0, 2**63), number=st.integers(1, 12))
def test_any_seed_stays_inside(
    sampler: tuple[SamplerName, dict[str, Any]], seed: int, number: int
) -> None:
    search = simulated(*sampler, seed=seed).run(number)
    for values in search.suggested:
        check_inside(search.space, values)
    assert len(search.suggested) == number


@each_sampler
def test_equal_histories_give_equal_suggestions_also_when_cut_and_read_again_at_any_point(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    number = 5 if sampler == "gp" else 24
    whole = simulated(sampler, options, seed=5).run(number)
    for cut in range(1, number):
        resumed = simulated(sampler, options, seed=5)
        resumed.history = list(as_from_the_ledger(whole.history[:cut]))
        assert resumed.ask() == whole.suggested[cut]
        assert resumed.history[-1].suggestion == whole.history[cut].suggestion


def test_generations_go_on_where_a_search_was_cut() -> None:
    search = simulated("nsga2", {"population_size": 3}).run(24)
    attributes = [each.suggestion.attributes for each in search.history[1:]]
    generations = [each["NSGAIISampler:generation"] for each in attributes]
    assert generations == sorted(generations)
    assert generations[-1] > 4


@pytest.mark.parametrize(("sampler", "options"), SAMPLERS)
def test_another_seed_gives_other_suggestions(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    one, other = (simulated(sampler, options, seed=seed).run(5) for seed in (0, 1))
    assert one.suggested[1:] != other.suggested[1:]


def test_sampler_looks_where_the_direction_says() -> None:
    space = space_of({"x": {"low": 0.0, "high": 1.0}}, BASELINE)
    late: dict[Direction, float] = {}
    for direction in get_args(Direction):
        search = simulated(
            "tpe", {"n_startup_trials": 5}, directions=(direction,), space=space,
            values=lambda values: (values["x"],),
        ).run(25)  # fmt: skip
        late[direction] = fmean(values["x"] for values in search.suggested[-10:])
    assert late["lower"] < 0.3
    assert late["higher"] > 0.7


@each_sampler
def test_failed_pruned_and_running_ones_do_not_stop_a_sampler(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    endings = {
        0: Told(ending="complete", values=(1.0,)),
        1: Told(ending="failed", reason="loss is nan"),
        2: Told(ending="pruned", reason="step 10"),
        3: None,
    }

    def told(number: int, values: Condition) -> Told | None:
        complete = Told(ending="complete", values=cost(values))
        return endings.get(number % 5, complete)

    number, more = (8, {"space": space_of(PLAIN, BASELINE)}) if sampler == "gp" else (30, {})
    search = simulated(sampler, options, told=told, **more).run(number)
    assert len({repr(values) for values in search.suggested}) == number
    for values in search.suggested:
        assert search.space.contains(values, BASELINE)


@each_sampler
def test_nothing_but_failures_goes_on_to_new_values(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    failed = Told(ending="failed", reason="out of memory")
    search = simulated(sampler, options, told=lambda *_: failed).run(12)
    assert len({repr(values) for values in search.suggested}) == 12


@each_sampler
def test_running_ones_are_not_suggested_again(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    """Workers ask one after another before anything ends."""
    search = simulated(sampler, options, space=space_of(PLAIN, BASELINE)).run(4)
    search.told = lambda *_: None
    if sampler != "nsga2":  # which does not look at those that run
        search.accepts = lambda values: True  # noqa: ARG005  so that the sampler alone keeps apart
    number = 3 if sampler == "gp" else 5
    for _ in range(number):
        search.ask()
    assert len({repr(values) for values in search.suggested[4:]}) == number


def test_pruned_ones_are_ranked_by_what_they_reported_in_the_objectives_direction() -> None:
    pruning = Pruning(kind="asha", metric="score", direction="higher", steps=(5,))
    search = simulated("tpe", {"n_startup_trials": 1}, pruning=pruning)
    search.told = lambda *_: Told(ending="pruned", reason="step 5")
    search.begin()
    (record,) = search.history
    search.history = [type(record)(**{**vars(record), "rungs": {"a": {5: 2.0}, "b": {5: 4.0}}})]
    (trial,) = search.suggester()._studies.study(search.history).trials
    assert trial.intermediate_values == {5: -3.0}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow)])
def test_two_objectives_with_pruned_ones(sampler: SamplerName) -> None:
    def told(number: int, values: Condition) -> Told:
        if number % 3 == 1:
            return Told(ending="pruned", reason="step 10")
        return Told(ending="complete", values=(values["x"], values["depth"]))

    directions = ("lower", "higher")
    options = dict(next(each for name, each in [*SAMPLERS, GAUSSIAN_PROCESS] if name == sampler))
    space = space_of(PLAIN, BASELINE)
    search = simulated(sampler, options, told=told, directions=directions, space=space)
    number = 5 if sampler == "gp" else 8
    assert len(search.run(number).suggested) == number


SMALL_BASELINE = {"kind": "a", "n": 1, "log": 2}
SMALL = {
    "kind": {"choices": ["a", "b"]},
    "n": {"low": 1, "high": 3, "when": "kind == 'b'"},
    "log": {"low": 1, "high": 4, "log": True},
}


@pytest.mark.parametrize(
    ("sampler", "options"), [*SAMPLERS, ("grid", {}), ("gp", {"n_startup_trials": 30})]
)
def test_discrete_space_is_exhausted_exactly_and_without_a_duplicate(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    space = space_of(SMALL, SMALL_BASELINE, "n < 3 and log != 3")
    search = SimulatedSearch(
        space=space,
        baseline=SMALL_BASELINE,
        values=lambda values: (float(values["log"]),),
        sampler=sampler,
        options=options,
    ).run(1)
    while search.ask() is not None:
        assert len(search.suggested) <= 9
    # Without n there is its baseline's: (1 for a, 2 for b) x (3 of log).
    allowed = [each for each in space.every(SMALL_BASELINE) if space.holds({"n": 1, **each})]
    assert len(allowed) == 9
    assert sorted(map(repr, search.suggested)) == sorted(map(repr, allowed))


def test_endless_space_of_which_nothing_is_accepted_gives_nothing() -> None:
    search = simulated("tpe", {}).run(2)
    assert search.suggester().suggest(search.history, lambda _: False) is None


@pytest.mark.parametrize(("sampler", "options"), SAMPLERS)
def test_constraint_that_leaves_one_part_in_a_thousand_does_not_end_a_search(
    sampler: SamplerName, options: Mapping[str, Any]
) -> None:
    space = space_of(PLAIN, BASELINE, "x < 0.01 and depth < 0.6")
    search = simulated(sampler, options, space=space).run(12)
    assert len(search.suggested) == 12
    assert all(space.contains(values, BASELINE) for values in search.suggested[1:])


def test_baseline_outside_of_the_space_is_no_obstacle() -> None:
    baseline = {**BASELINE, "x": 7.0, "kind": "z"}
    for sampler, options in SAMPLERS:
        search = simulated(sampler, options, baseline=baseline).run(8)
        assert search.suggested[0]["x"] == 7.0
        for values in search.suggested[1:]:
            assert search.space.contains(values, baseline)


def test_quasi_random_points_are_one_sequence_whatever_ran_before() -> None:
    from qdexp.backends.optuna_suggester.sobol import sobol_points

    together = [point for point, _ in zip(sobol_points(2, 3, 0), range(20), strict=False)]
    apart = [next(sobol_points(2, 3, number)) for number in range(20)]
    assert together == apart


def test_lists_are_choices_too() -> None:
    baseline = {"shape": [1, 2], "x": 0.1}
    parameters = {"shape": {"choices": [[1, 2], [3], []]}, "x": {"low": 0.0, "high": 1.0}}
    search = SimulatedSearch(
        space=space_of(parameters, baseline),
        baseline=baseline,
        values=lambda values: (len(values["shape"]) + values["x"],),
        sampler="tpe",
        options={"n_startup_trials": 3},
    ).run(15)
    assert all(values["shape"] in ([1, 2], [3], []) for values in search.suggested)


def test_nobody_elses_random_numbers_are_touched() -> None:
    random.seed(0)
    before = random.getstate()
    simulated("tpe", {"n_startup_trials": 3}).run(8)
    assert random.getstate() == before
