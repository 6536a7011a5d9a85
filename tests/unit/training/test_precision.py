"""Half precision, averages of weights, and steps that are left out."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.errors import DivergedError
from qdexp.training.course import Course
from qdexp.training.train_step import LEAST_LOSS_SCALE, train_step
from qdexp.training.training_state import TrainingState

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]


def weights(state: TrainingState) -> torch.Tensor:
    return torch.cat([p.detach().double().flatten() for p in state.model.parameters()])


def tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state.model.state_dict().items()}


@pytest.mark.parametrize(
    ("precision", "error", "angle"),
    [("bf16", 3e-2, 0.05), ("fp16", 5e-3, 5e-3), ("fp64", 1e-5, 1e-5)],
)
def test_other_precisions_learn_the_same(
    make_config: MakeConfig, start: Start, precision: str, error: float, angle: float
) -> None:
    """At a rate at which the loss falls by a third, many times what a precision changes."""
    losses: list[list[float]] = []
    moved: list[torch.Tensor] = []
    for each in ("fp32", precision):
        state, course = start(
            make_config(
                training__precision=each,
                training__learning_rate=1e-2,
                training__warmup_steps=0,
                model__dropout=0.0,
            )
        )
        before = weights(state)
        losses.append([train_step(state, course)["train.loss"] for _ in range(8)])
        moved.append(weights(state) - before)

    assert losses[0][-1] < 0.75 * losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=error)
    assert losses[1] != losses[0]
    assert torch.cosine_similarity(*moved, dim=0) > 1 - angle


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_and_codebook_stay_in_float32(
    make_config: MakeConfig, start: Start, precision: str
) -> None:
    state, course = start(make_config(training__precision=precision))
    before = tensors(state)
    train_step(state, course)
    after = tensors(state)

    assert {value.dtype for value in after.values()} == {torch.float32}
    assert not torch.equal(before["quantizer.codebook"], after["quantizer.codebook"])


def test_fp64_computes_everything_in_float64(make_config: MakeConfig, start: Start) -> None:
    state, course = start(make_config(training__precision="fp64"))
    train_step(state, course)

    assert {value.dtype for value in tensors(state).values()} == {torch.float64}


def test_only_fp16_scales_its_losses(make_config: MakeConfig, start: Start) -> None:
    enabled = {
        precision: start(make_config(training__precision=precision))[0].learner.scaler.is_enabled()
        for precision in ("fp32", "bf16", "fp16", "fp64")
    }

    assert enabled == {"fp32": False, "bf16": False, "fp16": True, "fp64": False}


def overflowing(make_config: MakeConfig, start: Start) -> tuple[TrainingState, Course]:
    state, course = start(make_config(training__precision="fp16", training__ema_weights_decay=0.5))
    train_step(state, course)
    state.learner.scaler.update(2.0**60)
    return state, course


def test_a_step_whose_scaled_gradient_overflows_moves_nothing_the_codebook_included(
    make_config: MakeConfig, start: Start
) -> None:
    state, course = overflowing(make_config, start)
    assert state.average is not None
    before = tensors(state), {name: value.clone() for name, value in state.average.items()}
    measured = train_step(state, course)

    assert measured["train.loss"] > 0
    assert state.step == 2
    assert state.learner.scaler.get_scale() == 2.0**59
    assert all(torch.equal(value, before[0][name]) for name, value in tensors(state).items())
    assert all(torch.equal(value, before[1][name]) for name, value in state.average.items())


def test_the_scale_of_losses_travels_with_the_learner(
    make_config: MakeConfig, start: Start
) -> None:
    config = make_config(training__precision="fp16")
    (state, course), (other, _) = start(config), start(config)
    train_step(state, course)
    state.learner.scaler.update(2.0**10)
    other.load(state.tensors())

    assert other.learner.scaler.get_scale() == 2.0**10


def test_a_gradient_that_overflows_at_any_scale_is_a_divergence(
    make_config: MakeConfig, start: Start
) -> None:
    state, course = overflowing(make_config, start)
    state.learner.scaler.update(LEAST_LOSS_SCALE)
    for parameter in state.model.blocks[0].parameters():
        parameter.register_hook(lambda gradient: gradient * torch.inf)

    with pytest.raises(DivergedError, match="gradient norm is"):
        train_step(state, course)


def test_the_average_follows_the_weights_and_is_what_is_measured(
    make_config: MakeConfig, start: Start
) -> None:
    state, course = start(make_config(training__ema_weights_decay=0.9))
    assert state.average is not None
    expected = {name: value.clone() for name, value in state.average.items()}
    for step in range(3):
        train_step(state, course)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, parameter in state.model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()

    trained = tensors(state)
    for name, value in state.average.items():
        torch.testing.assert_close(value, expected[name])
    with state.averaged() as model:
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, state.average[name])
    assert all(torch.equal(value, trained[name]) for name, value in tensors(state).items())
