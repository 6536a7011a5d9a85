"""A search's estimate is from what trials like its own took, and ends with its budget."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from qdexp.config.presets import preset
from qdexp.execution.estimate import Capacity, Measured, Measurements
from qdexp.execution.search_estimate import Ahead, SearchEstimate, search_estimate
from qdexp.execution.shape import shape_of
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Trial
from qdexp.results.suggestions import TimeSpent

LAYERS, RATE, STEPS = "model.num_layers", "training.learning_rate", "training.max_steps"
TOOK = Measured(
    source="trial", step_seconds=2.0, fastest=1.0, slowest=4.0, num_steps=50, other_seconds=10.0
)
SIX = Ahead(num_trials=6, num_to_confirm=4, spent=TimeSpent())
TWO = Capacity(side_by_side=2, gpus_per_trial=0)


def search(**changes: object) -> SearchSpec:
    content: Mapping[str, Any] = {
        "name": "rates",
        "question": "Which rate?",
        "preset": "tiny",
        "set": {STEPS: 100},
        "space": {RATE: {"low": 0.001, "high": 0.1}},
        "metrics": {"primary": "eval.denoising_loss"},
        "budget": {"trials": 6},
        **changes,
    }
    return read_search(content)


def trial(**changes: object) -> Trial:
    fields = {STEPS: 100} | {field.replace("__", "."): value for field, value in changes.items()}
    return Trial(configuration=preset("tiny").replace(fields), seed=0, data_fingerprint="d")


def known_of(*taken: Measured, of: Trial | None = None) -> Measurements:
    shape = shape_of(of or trial())
    return Measurements(steps={shape.steps: taken}, whole={})


def estimated(
    spec: SearchSpec, *taken: Measured, ahead: Ahead = SIX, capacity: Capacity = TWO
) -> SearchEstimate:
    found = search_estimate(spec, [trial()], known_of(*taken), capacity, ahead)
    assert found is not None
    return found


def test_what_is_left_is_run_side_by_side_and_then_checked() -> None:
    found = estimated(search(), TOOK, replace(TOOK, step_seconds=4.0))
    assert (found.trial_seconds.low, found.trial_seconds.high) == (210.0, 410.0)
    assert found.trial_seconds.expected == 310.0
    assert found.search_seconds.expected == 3 * 310.0
    assert found.confirm_seconds.expected == 2 * 310.0
    assert found.sources == (
        "from 2 past trials of its baseline's shape, the range from the fastest to the slowest",
    )


def test_fewer_workers_take_longer_for_the_search_alone() -> None:
    found = estimated(search(workers=1), TOOK)
    assert (found.side_by_side, found.search_seconds.expected) == (1, 6 * 210.0)
    assert found.confirm_seconds.expected == 2 * 210.0
    assert estimated(search(workers=9), TOOK).side_by_side == 2, "no more than there is room for"


def test_one_trial_s_range_is_that_of_its_own_steps() -> None:
    found = estimated(search(), TOOK)
    assert (found.trial_seconds.low, found.trial_seconds.high) == (110.0, 410.0)
    assert "from 1 past trial of its baseline's shape, the range from its fastest" in str(found)


@pytest.mark.parametrize(
    ("budget", "gpus", "spent", "left"),
    [
        ({"hours": 1}, 0, TimeSpent(seconds=3500, gpu_seconds=0), 100),
        ({"gpu_hours": 1}, 1, TimeSpent(seconds=0, gpu_seconds=3400), 100),
        ({"hours": 1, "gpu_hours": 9}, 1, TimeSpent(seconds=3500, gpu_seconds=0), 100),
        ({"hours": 1}, 0, TimeSpent(seconds=9999, gpu_seconds=0), 0),
        ({"gpu_hours": 1}, 0, TimeSpent(seconds=0, gpu_seconds=3500), 420),
    ],
)
def test_a_budget_of_hours_ends_it_once_what_was_suggested_is_done(
    budget: dict[str, float], gpus: int, spent: TimeSpent, left: float
) -> None:
    spec = search(budget={"trials": 6, **budget})
    capacity = Capacity(side_by_side=2, gpus_per_trial=gpus)
    found = estimated(spec, TOOK, ahead=replace(SIX, spent=spent), capacity=capacity)
    assert found.search_seconds.expected == left + 210.0
    assert found.confirm_seconds.expected == 2 * 210.0, "the check has no such limit"


def test_a_budget_of_hours_alone_takes_them_and_a_trial() -> None:
    ahead = replace(SIX, num_trials=inf, spent=TimeSpent(seconds=600))
    found = estimated(search(budget={"hours": 1}), TOOK, ahead=ahead)
    assert found.search_seconds.expected == 3000 + 210.0


def test_lengths_that_are_searched_widen_the_range() -> None:
    tried = [trial(), trial(training__max_steps=300)]
    both = replace(TOOK, step_seconds=4.0)
    found = search_estimate(search(), tried, known_of(TOOK, both), TWO, SIX)
    assert found is not None
    assert (found.trial_seconds.low, found.trial_seconds.high) == (210.0, 1210.0)
    assert found.trial_seconds.expected == 610.0


def test_what_may_take_another_time_is_named() -> None:
    wide = search(space={RATE: {"low": 0.001, "high": 0.1}, LAYERS: {"low": 1, "high": 4}})
    probe = replace(TOOK, source="probe", is_elsewhere=True)
    tried = [trial(), trial(model__num_layers=5)]
    found = search_estimate(wide, tried, known_of(TOOK, probe), TWO, SIX)
    assert found is not None
    assert found.sources == (
        "from 1 past trial and 1 probe of the shapes that it tried, the range from the fastest to "
        "the slowest",
        "probes ran alone; trials side by side may be slower",
        "measured on another kind of machine than this one",
        "a trial's time may depend on model.num_layers: others may take longer or less",
    )


def test_where_nothing_like_it_was_measured_nothing_is_said() -> None:
    other = known_of(TOOK, of=trial(model__num_layers=7))
    assert search_estimate(search(), [trial()], other, TWO, SIX) is None
