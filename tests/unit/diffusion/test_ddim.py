"""Sampling with DDIM on an exact grid, against what is known in closed form."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from qdexp.diffusion.ddim import ddim_sample, trailing_timesteps
from qdexp.diffusion.schedule import NoiseSchedule, noise_schedule

LINEAR = noise_schedule("linear", 1000)
COSINE = noise_schedule("cosine", 1000)
ZERO_SNR = noise_schedule("linear", 1000, zero_terminal_snr=True)
SCHEDULES = {"linear": LINEAR, "cosine": COSINE, "zero terminal SNR": ZERO_SNR}
UNEVEN = torch.tensor([999, 998, 640, 99, 98, 3])


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Predictor:
    """Predicts the same clip always, and remembers what it was given."""

    def __init__(self, x_0: Tensor) -> None:
        self.x_0 = x_0
        self.inputs: list[Tensor] = []
        self.timesteps: list[list[int]] = []

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.inputs.append(x_t)
        self.timesteps.append(t.tolist())
        return self.x_0


class GaussianData:
    """E[x_0 | x_t] where x_0 is normal with mean 0."""

    def __init__(self, schedule: NoiseSchedule, deviation: float) -> None:
        self.schedule = schedule
        self.deviation = deviation

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        share = self.schedule.alphas_cumprod[t].reshape(-1, *[1] * (x_t.ndim - 1))
        variance = share * self.deviation**2 + 1 - share
        return share.sqrt() * self.deviation**2 / variance * x_t


def test_four_steps_of_the_whole_range_are_the_known_ones() -> None:
    assert trailing_timesteps(4, 0, 999).tolist() == [999, 749, 499, 249]


def test_as_many_steps_as_timesteps_are_all_of_them() -> None:
    assert trailing_timesteps(961, 20, 980).tolist() == list(range(980, 19, -1))


@given(
    least=st.integers(0, 999), others=st.integers(0, 2000), share=st.floats(0, 1, exclude_min=True)
)
def test_timesteps_fall_from_the_greatest_inside_the_trained_range(
    least: int, others: int, share: float
) -> None:
    num_steps = math.ceil(share * (others + 1))
    found = trailing_timesteps(num_steps, least, least + others).tolist()

    assert len(found) == num_steps
    assert found[0] == least + others
    assert found[-1] >= least
    assert all(before > after for before, after in itertools.pairwise(found))
    spacing = (others + 1) / num_steps
    assert all(abs(a - b - spacing) <= 1 for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("num_steps", [0, 12])
def test_more_steps_than_timesteps_or_none_are_refused(num_steps: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 11, the timesteps from 20 to 30"):
        trailing_timesteps(num_steps, 20, 30)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_noise_that_a_prediction_meets_is_its_timesteps(schedule: NoiseSchedule) -> None:
    x_0, noise = normal(0, 3, 2, 4), normal(1, 3, 2, 4)
    predictor = Predictor(x_0)
    # What is certain is known from pure noise on; else sampling starts from a little less signal.
    start = schedule.add_noise(x_0, noise, UNEVEN[:1].expand(3))
    found = ddim_sample(predictor, schedule, UNEVEN, start)

    assert predictor.timesteps == [[t] * 3 for t in UNEVEN.tolist()]
    for t, x_t in zip(UNEVEN, predictor.inputs, strict=True):
        expected = schedule.add_noise(x_0, noise, t.expand(3))
        torch.testing.assert_close(x_t, expected, rtol=0, atol=1e-12)
    assert torch.equal(found, x_0)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_whatever_eta_the_noise_in_a_prediction_has_its_timesteps_variance(
    schedule: NoiseSchedule, eta: float
) -> None:
    """The marginals of Song et al., 2021, lemma 1: every noise gets an axis of its own."""
    axes = torch.eye(1 + len(UNEVEN), dtype=torch.float64)
    predictor = Predictor(torch.zeros(1, 1 + len(UNEVEN), dtype=torch.float64))
    share = schedule.alphas_cumprod[UNEVEN]
    start = (1 - share[0]).sqrt() * axes[:1]
    ddim_sample(
        predictor, schedule, UNEVEN, start, eta=eta, step_noise=lambda step: axes[step + 1][None]
    )
    variance = torch.stack(predictor.inputs).square().sum(dim=(1, 2))
    torch.testing.assert_close(variance, 1 - share, rtol=1e-12, atol=0)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize("num_steps", [1, 3, 7, 50, 333, 961])
@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
def test_gaussian_data_are_sampled_by_the_product_of_the_steps_own_factors(
    schedule: NoiseSchedule, num_steps: int, deviation: float
) -> None:
    """With y = x / sqrt(a) and r = sqrt((1 - a) / a), DDIM is Euler's method for dy / dr.

    (Song et al., 2021, section 4.3.) For normal data dy / dr = y r / (deviation^2 + r^2), so that
    a step from r to q multiplies y by (deviation^2 + r q) / (deviation^2 + r^2).
    """
    timesteps = trailing_timesteps(num_steps, 20, 980)
    share = schedule.alphas_cumprod[timesteps]
    ratios = [*((1 - share) / share).sqrt().tolist(), 0.0]
    expected = math.prod(
        (deviation**2 + r * q) / (deviation**2 + r**2) for r, q in itertools.pairwise(ratios)
    ) / math.sqrt(share[0].item())

    noise = normal(0, 2, 3)
    found = ddim_sample(GaussianData(schedule, deviation), schedule, timesteps, noise)
    torch.testing.assert_close(found, expected * noise, rtol=1e-11, atol=0)


def test_more_steps_come_closer_to_the_differential_equations_own_solution() -> None:
    """y(0) = y(r) deviation / sqrt(deviation^2 + r^2): the noise becomes data of the deviation."""
    noise, deviation = normal(0, 1, 1), 0.5
    share = LINEAR.alphas_cumprod[980].item()
    solution = deviation / math.sqrt(share * deviation**2 + 1 - share) * noise
    errors = [
        (
            ddim_sample(
                GaussianData(LINEAR, deviation), LINEAR, trailing_timesteps(n, 0, 980), noise
            )
            / solution
            - 1
        )
        .abs()
        .item()
        for n in (5, 20, 80, 320)
    ]
    # The least timestep is reached in no number of steps: its noise is left out of the bound.
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


@pytest.mark.parametrize("t", [1, 20, 500, 999])
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_eta_of_one_on_all_timesteps_is_ddpms_posterior(schedule: NoiseSchedule, t: int) -> None:
    """Ho et al., 2020, equation 7."""
    x_t, x_0, noise = normal(0, 2, 3), normal(1, 2, 3), normal(2, 2, 3)
    now, before = schedule.alphas_cumprod[t].item(), schedule.alphas_cumprod[t - 1].item()
    beta = 1 - now / before
    mean = (
        math.sqrt(before) * beta / (1 - now) * x_0
        + math.sqrt(1 - beta) * (1 - before) / (1 - now) * x_t
    )
    variance = (1 - before) / (1 - now) * beta

    predictor = Predictor(x_0)
    grid = torch.tensor([t, t - 1])
    ddim_sample(predictor, schedule, grid, x_t, eta=1.0, step_noise=lambda _: noise)
    expected = mean + math.sqrt(variance) * noise
    torch.testing.assert_close(predictor.inputs[1], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("eta", "expected"), [(0.0, []), (0.5, [0, 1, 2])])
def test_noise_is_asked_for_once_a_step_but_the_last_and_only_if_eta_wants_it(
    eta: float, expected: list[int]
) -> None:
    asked: list[int] = []

    def step_noise(step: int) -> Tensor:
        asked.append(step)
        return normal(step, 2, 3)

    timesteps = trailing_timesteps(4, 0, 999)
    predictor = Predictor(normal(8, 2, 3))
    ddim_sample(predictor, LINEAR, timesteps, normal(9, 2, 3), eta=eta, step_noise=step_noise)
    assert asked == expected
    assert len(predictor.inputs) == 4


def test_pure_noise_without_any_signal_is_sampled_without_nan() -> None:
    timesteps = trailing_timesteps(10, 0, 999)
    noise = normal(0, 2, 3)
    for eta in (0.0, 1.0):
        found = ddim_sample(
            GaussianData(ZERO_SNR, 0.5),
            ZERO_SNR,
            timesteps,
            noise,
            eta=eta,
            step_noise=lambda step: normal(step, 2, 3),
        )
        assert found.isfinite().all()
        assert 0 < found.abs().max() < 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("predicted", [torch.bfloat16, torch.float32, torch.float64])
def test_samples_have_the_numbers_of_the_noise(dtype: torch.dtype, predicted: torch.dtype) -> None:
    predictor = Predictor(normal(0, 2, 3).to(predicted))
    found = ddim_sample(
        predictor,
        LINEAR,
        trailing_timesteps(3, 0, 999),
        normal(1, 2, 3).to(dtype),
        eta=1.0,
        step_noise=lambda step: normal(step, 2, 3).to(predicted),
    )
    assert found.dtype == dtype
    assert [x_t.dtype for x_t in predictor.inputs] == [dtype] * 3


def test_samples_have_no_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    found = ddim_sample(
        lambda x_t, _: weight * x_t, LINEAR, torch.tensor([999, 499]), normal(0, 2, 3)
    )
    assert not found.requires_grad


@pytest.mark.parametrize("timesteps", [[], [3, 3], [1, 2]])
def test_timesteps_that_do_not_fall_are_refused(timesteps: list[int]) -> None:
    grid = torch.tensor(timesteps, dtype=torch.long)
    with pytest.raises(ValueError, match="expected falling ones"):
        ddim_sample(lambda x_t, _: x_t, LINEAR, grid, normal(0, 2, 3))


def test_eta_without_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected noise for eta 0\.5"):
        ddim_sample(lambda x_t, _: x_t, LINEAR, UNEVEN, normal(0, 2, 3), eta=0.5)
