"""The arithmetic of distribution matching distillation, in closed form."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from qdexp.diffusion.distribution_matching import (
    few_step_input,
    few_step_sample,
    matching_gradient,
    matching_loss,
)
from qdexp.diffusion.schedule import noise_schedule

SCHEDULE = noise_schedule("linear", 1000)
FOUR_STEPS = torch.tensor([999, 749, 499, 249])
CLIPS = (3, 2, 1, 2, 2)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Calls:
    """A predictor, and the noise that it is given, which remember how they were called."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.with_gradient: list[bool] = []
        self.timesteps: list[list[int]] = []
        self.inputs: list[Tensor] = []

    def predict_x0(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.with_gradient.append(torch.is_grad_enabled())
        self.timesteps.append(t.tolist())
        self.inputs.append(x_t)
        return self.weight * x_t

    @staticmethod
    def noise(call: int) -> Tensor:
        return normal(100 + call, *CLIPS)


def test_gradient_is_the_scores_difference_in_units_of_the_teachers_own_change() -> None:
    x, real, fake = (normal(seed, *CLIPS) for seed in (1, 2, 3))
    found = matching_gradient(x, real, fake)

    for sample in range(3):
        change = sum(
            abs(a - b) for a, b in zip(x[sample].flatten(), real[sample].flatten(), strict=True)
        )
        expected = (fake[sample] - real[sample]) / (change / 8)
        torch.testing.assert_close(found[sample], expected, rtol=1e-13, atol=0)


def test_loss_sends_exactly_the_gradient_over_the_number_of_elements_to_the_sample() -> None:
    x = normal(1, *CLIPS).requires_grad_()
    teacher, fake = (torch.tensor(w, dtype=x.dtype, requires_grad=True) for w in (0.7, 0.4))
    # Both scores depend on the sample: what they would send back must not arrive.
    g = matching_gradient(x, teacher * x.tanh(), fake * x)
    matching_loss(x, g).backward()

    assert x.grad is not None
    torch.testing.assert_close(x.grad, g / x.numel(), rtol=1e-12, atol=1e-15)
    assert not g.requires_grad
    assert teacher.grad is None
    assert fake.grad is None


def test_loss_is_half_the_mean_square_of_the_gradient() -> None:
    x, g = normal(1, *CLIPS), normal(2, *CLIPS)
    torch.testing.assert_close(matching_loss(x, g), g.square().mean() / 2)


@given(exponent=st.integers(-20, 20), seed=st.integers(0, 1000))
def test_gradient_does_not_depend_on_the_unit_of_the_latents(exponent: int, seed: int) -> None:
    x, real, fake = normal(seed, 3, *CLIPS)
    unit = 2.0**exponent

    found = matching_gradient(unit * x, unit * real, unit * fake)
    assert torch.equal(found, matching_gradient(x, real, fake))


def test_a_fake_score_that_is_the_teacher_gives_no_gradient_at_all() -> None:
    x, real = normal(1, *CLIPS), normal(2, *CLIPS)
    assert torch.equal(matching_gradient(x, real, real.clone()), torch.zeros(CLIPS).double())


def test_half_precision_is_widened_before_anything_is_subtracted() -> None:
    halves = [normal(seed, *CLIPS).bfloat16() for seed in (1, 2, 3)]
    x = halves[0].clone().requires_grad_()
    g = matching_gradient(*halves)
    loss = matching_loss(x, g)
    loss.backward()

    assert g.dtype == loss.dtype == torch.float32
    assert torch.equal(g, matching_gradient(*(half.float() for half in halves)))
    assert x.grad is not None
    torch.testing.assert_close(x.grad.float(), g / x.numel(), rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("last_bits", [0, 1])
def test_a_sample_that_the_teacher_leaves_alone_has_no_gradient(last_bits: int) -> None:
    x, fake = normal(1, *CLIPS), normal(3, *CLIPS)
    real = normal(2, *CLIPS)
    real[1] = x[1]
    for _ in range(last_bits):
        real[1] = torch.nextafter(real[1], torch.tensor(9.0).double())
    found = matching_gradient(x, real, fake)

    assert torch.equal(found[1], torch.zeros_like(found[1]))
    assert torch.equal(found[[0, 2]], matching_gradient(x[[0, 2]], real[[0, 2]], fake[[0, 2]]))
    zeros = torch.zeros(CLIPS)
    assert torch.equal(matching_gradient(zeros, zeros, zeros), zeros)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_not_finite_shows_in_the_loss(which: int, value: float) -> None:
    tensors = [normal(seed, *CLIPS) for seed in (1, 2, 3)]
    tensors[which][1, 0] = value

    gradient = matching_gradient(*tensors)
    assert not matching_loss(tensors[0], gradient).isfinite()
    assert gradient[[0, 2]].isfinite().all()


def test_a_perfect_predictor_samples_its_distribution_in_any_number_of_steps() -> None:
    mean, deviation, count = 2.0, 0.5, 200_000

    def predict_x0(x_t: Tensor, t: Tensor) -> Tensor:
        share = SCHEDULE.alphas_cumprod[t][:, None]
        spread = (share * deviation**2 + 1 - share).sqrt()
        return mean + deviation * (x_t - share.sqrt() * mean) / spread

    for timesteps in (FOUR_STEPS[:1], FOUR_STEPS[::3], FOUR_STEPS):
        x = few_step_sample(predict_x0, SCHEDULE, timesteps, lambda call: normal(call, count, 1))
        # At t = 999 a little of the mean is left in x_t, which is not in the noise it starts from.
        assert x.mean().item() == pytest.approx(mean, abs=0.01)
        assert x.std().item() == pytest.approx(deviation, abs=0.005)


def test_noise_is_fresh_at_every_call_and_of_that_calls_timestep() -> None:
    calls = Calls(torch.tensor(0.9))
    x_0 = few_step_sample(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise)

    assert calls.timesteps == [[t] * 3 for t in (999, 749, 499, 249)]
    assert torch.equal(calls.inputs[0], calls.noise(0))
    for call in (1, 2, 3):
        share = SCHEDULE.alphas_cumprod[FOUR_STEPS[call]]
        signal = share.sqrt() * 0.9 * calls.inputs[call - 1]
        expected = signal + (1 - share).sqrt() * calls.noise(call)
        torch.testing.assert_close(calls.inputs[call], expected)
    torch.testing.assert_close(x_0, 0.9 * calls.inputs[3])


@pytest.mark.parametrize("num_calls", [0, 1, 2, 3])
def test_backward_simulation_calls_the_student_that_often_without_gradient(num_calls: int) -> None:
    calls = Calls(torch.tensor(0.9, dtype=torch.float64, requires_grad=True))
    x_t, t = few_step_input(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise, num_calls)

    assert calls.with_gradient == [False] * num_calls
    assert t.tolist() == [FOUR_STEPS[num_calls].item()] * 3
    assert not x_t.requires_grad
    calls.predict_x0(x_t, t).sum().backward()
    # Through the last call only: d(weight * x_t) / d(weight), x_t constant.
    torch.testing.assert_close(calls.weight.grad, x_t.sum())


def test_sampling_ends_where_backward_simulation_over_all_other_calls_does() -> None:
    calls = Calls(torch.tensor(0.9, dtype=torch.float64, requires_grad=True))
    sample = few_step_sample(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise)
    assert calls.with_gradient == [False, False, False, True]

    last = few_step_input(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise, 3)
    assert torch.equal(sample, calls.predict_x0(*last))


def test_sampling_under_no_grad_makes_no_graph() -> None:
    calls = Calls(torch.tensor(0.9, requires_grad=True))
    with torch.no_grad():
        sample = few_step_sample(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise)
    assert not sample.requires_grad


def test_noise_is_added_in_its_own_numbers_to_what_the_student_predicts_in_half_precision() -> None:
    x_0 = normal(1, 3, 2).bfloat16()
    x_t, t = few_step_input(
        lambda *_: x_0, SCHEDULE, FOUR_STEPS, lambda call: normal(call, 3, 2), 1
    )

    assert x_t.dtype == torch.float64
    assert torch.equal(x_t, SCHEDULE.add_noise(x_0.double(), normal(1, 3, 2), t))


def test_a_call_that_no_timestep_is_left_for_is_refused() -> None:
    calls = Calls(torch.tensor(0.9))
    with pytest.raises(IndexError):
        few_step_input(calls.predict_x0, SCHEDULE, FOUR_STEPS, calls.noise, 4)
