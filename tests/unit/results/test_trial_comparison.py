# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""Two trials are compared on all that is known of them, and only what differs is said."""

import math

import pytest

from qdexp.results.comparison import disagreement, is_timing
from qdexp.results.trial_comparison import Pair, TrialDifferences, trial_differences


def test_trial_does_not_differ_from_itself(machines, here) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    nothing = TrialDifferences(
        configuration=(), trial=(), outcome=(), measurements=(), provenance=()
    )
    assert trial_differences(here.knows(trial), here.knows(trial)) == nothing


def test_every_difference_is_named_with_both_sides(machines, here) -> None:
    one, other = machines.trial(0), machines.trial(1, model__num_embeddings=64)
    here.asks(one, other)
    versions = {"versions": {"torch": "2.10"}, "session": "a", "pid": 1}
    here.ends(machines.completed(one, 0.25, **versions))
    versions = {"versions": {"torch": "2.13"}, "session": "b", "pid": 2, "diff": "00ff"}
    here.ends(machines.completed(other, 0.5, **versions))
    found = trial_differences(here.knows(one), here.knows(other))
    assert found.configuration == (Pair(name="model.num_embeddings", one=8192, other=64),)
    assert found.trial == (Pair(name="seed", one=0, other=1),)
    assert found.outcome == ()
    (number,) = found.measurements
    assert (number.name, number.one, number.other, number.relative) == (
        "eval.denoising_loss", 0.25, 0.5, 1.0
    )  # fmt: skip
    assert found.provenance == (
        Pair(name="versions.torch", one="2.10", other="2.13"),
        Pair(name="diff", one=None, other="00ff"),
    )


def test_outcomes_that_differ_in_kind_are_compared(machines, here) -> None:
    one, other = machines.trial(0), machines.trial(1)
    here.asks(one, other)
    here.ends(machines.completed(one), machines.failed(other))
    here.invalidates(one)
    found = {
        pair.name: (pair.one, pair.other)
        for pair in trial_differences(here.knows(one), here.knows(other)).outcome
    }
    assert found["outcome"] == ("completed", "failed")
    assert found["reason"] == (None, "ValueError: no")
    assert found["invalidated"] == ("wrong data", None)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"eval.x": 1.0, "cost.y": 1.0}, {"eval.x": 1.0, "cost.y": 2.0}, None),
        ({"eval.x": 1.0, "eval.fps": 1.0}, {"eval.x": 1.0, "eval.fps": 2.0}, None),
        ({"my.seconds": 1.0}, {"my.seconds": 2.0}, None),
        ({"eval.x": math.nan}, {"eval.x": math.nan}, None),
        ({"eval.x": 1.0}, {"eval.x": math.nextafter(1.0, 2.0)}, ["eval.x"]),
        ({"eval.x": 1.0}, {}, ["eval.x"]),
    ],
)
def test_results_disagree_on_numbers_that_are_no_timings(
    machines, one: dict[str, float], other: dict[str, float], expected: list[str] | None
) -> None:
    outcome = machines.completed(machines.trial())
    here, there = (machines.replaced(outcome, measurements=each) for each in (one, other))
    found = disagreement(here, there, ("my.seconds",))
    assert (None if found is None else [each.name for each in found]) == expected


def test_what_is_a_timing() -> None:
    assert is_timing("cost.step_seconds")
    assert is_timing("eval.fps")
    assert is_timing("mine", ("mine",))
    assert not is_timing("eval.denoising_loss")
    assert not is_timing("mine")
