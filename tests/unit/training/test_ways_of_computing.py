"""What only says how a training is computed changes none of its numbers."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training.course import Course
from qdexp.training.train_step import train_step
from qdexp.training.training_state import TrainingState
from tests.unit.training.measured_numbers import numbers

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]


@pytest.mark.parametrize(
    "way",
    [{"training__activation_checkpointing": True}, {"training__num_workers": 2}],
    ids=lambda way: next(iter(way)),
)
def test_a_trial_has_the_same_numbers_however_it_is_computed(
    make_trial: Callable[..., Trial], finish: Callable[..., Outcome], way: dict[str, object]
) -> None:
    """With dropout, whose masks a second forward pass must draw again, and a moving codebook."""
    plain = make_trial()
    assert plain.ours.model.dropout > 0

    assert numbers(finish(make_trial(**way), "other")) == numbers(finish(plain, "plain"))


@pytest.mark.parametrize("num_workers", [0, 3])
def test_a_batch_is_that_of_its_step_in_whatever_order_they_are_taken(
    make_config: MakeConfig, start: Start, num_workers: int
) -> None:
    _, course = start(make_config(training__num_workers=num_workers))
    _, alone = start(make_config())

    with course.batches:
        for step in (0, 1, 1, 7, 2, 0):
            taken, expected = course.batches.take(step), alone.batches.take(step)
            assert torch.equal(taken.x_0, expected.x_0)
            assert torch.equal(taken.noise, expected.noise)
            assert torch.equal(taken.t, expected.t)


@pytest.mark.parametrize("is_training", [False, True])
def test_what_runs_without_gradients_leaves_the_codebook_alone(
    make_config: MakeConfig,
    start: Start,
    is_training: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    state, course = start(make_config())
    train_step(state, course)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    batch = course.batches.take(1)

    state.model.train(is_training)
    with torch.no_grad():
        state.model(batch.x_0, batch.t)

    after = state.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
