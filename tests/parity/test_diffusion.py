"""Schedules, noise and DDIM against diffusers, and closed forms where diffusers is wrong."""

# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false
# (diffusers annotates steps as tuples, and tensors by names that are none)

import itertools
import math
from collections.abc import Iterator
from typing import Literal

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from qdexp.diffusion.ddim import ddim_sample, trailing_timesteps
from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.diffusion.schedule import NoiseSchedule, noise_schedule

Kind = Literal["linear", "cosine"]
PredictionType = Literal["x0", "epsilon", "v"]
THEIRS: dict[PredictionType, str] = {"x0": "sample", "epsilon": "epsilon", "v": "v_prediction"}
SHAPE = (3, 4, 2, 3)


def scheduler(kind: Kind = "linear", **options: object) -> DDIMScheduler:
    named = {"linear": "linear", "cosine": "squaredcos_cap_v2"}[kind]
    settings = {
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "steps_offset": 0,
        "clip_sample": False,
    }
    return DDIMScheduler(num_train_timesteps=1000, beta_schedule=named, **settings | options)


def drawn(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def ours(kind: Kind, prediction_type: PredictionType = "x0") -> Parametrisation:
    return Parametrisation(schedule=noise_schedule(kind, 1000), prediction_type=prediction_type)


def network(x_t: Tensor, t: Tensor) -> Tensor:
    """Stands for a network: smooth in both arguments."""
    return torch.sin(2 * x_t + t.reshape(-1, 1, 1, 1) / 300)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("zero", [False, True])
def test_schedules_are_theirs(kind: Kind, *, zero: bool) -> None:
    theirs = scheduler(kind, rescale_betas_zero_snr=zero).alphas_cumprod
    own = noise_schedule(kind, 1000, zero_terminal_snr=zero).alphas_cumprod

    # Theirs are computed in float32, with a last share of 2^-48 instead of 0.
    torch.testing.assert_close(own.float(), theirs, rtol=2e-4, atol=3e-7)
    assert (own[-1] == 0) == zero


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_noise_is_added_as_theirs_is(kind: Kind) -> None:
    t = torch.tensor([0, 421, 999])
    theirs = scheduler(kind).add_noise(drawn(0), drawn(1), t)

    own = noise_schedule(kind, 1000).add_noise(drawn(0), drawn(1), t)
    torch.testing.assert_close(own, theirs, rtol=0, atol=5e-6)


@pytest.mark.parametrize("prediction_type", ["x0", "epsilon", "v"])
@pytest.mark.parametrize("t", [10, 400, 900])
def test_what_is_predicted_means_what_theirs_does(prediction_type: PredictionType, t: int) -> None:
    reference = scheduler(prediction_type=THEIRS[prediction_type])
    reference.set_timesteps(1000)
    x_t, output = drawn(0), drawn(1)
    theirs = reference.step(output, t, x_t).pred_original_sample

    own = ours("linear", prediction_type).x0_from_output(output, x_t, torch.full((3,), t))
    torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-4)


def test_the_target_of_v_is_theirs() -> None:
    t = torch.tensor([5, 500, 950])
    theirs = DDPMScheduler(beta_start=1e-4, beta_end=0.02).get_velocity(drawn(0), drawn(1), t)

    own = ours("linear", "v").target(drawn(0), drawn(1), t)
    torch.testing.assert_close(own, theirs, rtol=0, atol=5e-6)


def their_samples(
    reference: DDIMScheduler, num_steps: int, eta: float
) -> Iterator[tuple[int, Tensor]]:
    """Yields their timesteps, each with what is sampled up to it."""
    reference.set_timesteps(num_steps)
    x = drawn(0)
    for number, t in enumerate(reference.timesteps):
        output = network(x, t.expand(len(x)))
        x = reference.step(
            output, int(t), x, eta=eta, variance_noise=drawn(10 + number) if eta else None
        ).prev_sample
        yield int(t), x


@pytest.mark.parametrize("prediction_type", ["x0", "epsilon", "v"])
@pytest.mark.parametrize("num_steps", [1, 4, 10, 50])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_whole_samples_are_theirs_where_the_steps_divide_the_schedule(
    prediction_type: PredictionType, num_steps: int, eta: float
) -> None:
    reference = scheduler(
        prediction_type=THEIRS[prediction_type],
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )
    timesteps, samples = zip(*their_samples(reference, num_steps, eta), strict=True)
    parametrisation = ours("linear", prediction_type)
    grid = trailing_timesteps(num_steps, 0, 999)
    sample = ddim_sample(
        lambda x_t, t: parametrisation.x0_from_output(network(x_t, t), x_t, t),
        parametrisation.schedule,
        grid,
        drawn(0),
        eta=eta,
        step_noise=lambda step: drawn(10 + step),
    )

    assert grid.tolist() == list(timesteps)
    # Their last step adds noise too, of a variance that is 0: nothing but rounding.
    scale = max(1.0, sample.abs().max().item())
    torch.testing.assert_close(sample / scale, samples[-1] / scale, rtol=0, atol=2e-4)


def gaussian_denoiser(schedule: NoiseSchedule, deviation: float, x_t: Tensor, t: Tensor) -> Tensor:
    """Returns the mean of x_0 given x_t for data N(0, deviation^2)."""
    share = schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1)
    return share.sqrt() * deviation**2 / (share * deviation**2 + 1 - share) * x_t


def exact_factor(schedule: NoiseSchedule, grid: list[int], deviation: float) -> float:
    """Returns what DDIM multiplies noise by on a grid, for data N(0, deviation^2): step by step."""
    factor = 1.0
    shares = [schedule.alphas_cumprod[t].item() for t in grid] + [1.0]
    for a, b in itertools.pairwise(shares):
        denoised = math.sqrt(a) * deviation**2 / (a * deviation**2 + 1 - a)
        epsilon = (1 - math.sqrt(a) * denoised) / math.sqrt(1 - a)
        factor *= math.sqrt(b) * denoised + math.sqrt(1 - b) * epsilon
    return factor


@pytest.mark.parametrize("num_steps", [3, 7, 30, 77])
@pytest.mark.parametrize(("least", "greatest"), [(0, 999), (20, 980), (100, 431)])
def test_on_any_grid_a_gaussian_is_sampled_as_in_closed_form(
    num_steps: int, least: int, greatest: int
) -> None:
    schedule, noise = noise_schedule("cosine", 1000), drawn(0).double()
    grid = trailing_timesteps(num_steps, least, greatest)
    sample = ddim_sample(
        lambda x_t, t: gaussian_denoiser(schedule, 0.7, x_t, t), schedule, grid, noise
    )

    expected = exact_factor(schedule, grid.tolist(), 0.7) * noise
    torch.testing.assert_close(sample, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("spacing", "num_steps"), [("trailing", 7), ("linspace", 7)])
def test_their_previous_timestep_is_not_the_grids_where_the_steps_do_not_divide(
    spacing: str, num_steps: int
) -> None:
    """diffusers#9261: they go to t - 1000 // steps, whatever the next timestep is."""
    reference = scheduler("linear", prediction_type="sample", timestep_spacing=spacing)
    reference.set_timesteps(num_steps)
    grid = [int(t) for t in reference.timesteps]
    schedule, x = noise_schedule("linear", 1000), drawn(0).double()
    own = ddim_sample(
        lambda x_t, t: gaussian_denoiser(schedule, 0.7, x_t, t), schedule, torch.tensor(grid), x
    )
    for t in grid:
        output = gaussian_denoiser(schedule, 0.7, x, torch.tensor([t] * len(x)))
        x = reference.step(output, t, x).prev_sample
    exact = exact_factor(schedule, grid, 0.7) * drawn(0).double()

    torch.testing.assert_close(own, exact, rtol=1e-12, atol=1e-12)
    assert (x - exact).abs().max() > 1e-3


def test_many_steps_converge_to_the_flow_that_keeps_quantiles() -> None:
    """The probability flow of N(0, s^2) maps each quantile of the noise to the data's."""
    schedule, deviation = noise_schedule("linear", 1000), 0.7
    last = schedule.alphas_cumprod[-1].item()
    flow = deviation / math.sqrt(last * deviation**2 + 1 - last)
    errors = [
        abs(exact_factor(schedule, trailing_timesteps(n, 0, 999).tolist(), deviation) - flow)
        for n in (10, 100, 1000)
    ]

    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 2e-3


def test_eta_of_one_has_the_noise_of_the_posterior() -> None:
    """Ho et al., 2020, equation 7: the variance of x_(t-1) given x_t and x_0."""
    schedule, t = noise_schedule("linear", 1000), 300
    a, b = schedule.alphas_cumprod[t].item(), schedule.alphas_cumprod[t - 1].item()
    posterior = (1 - b) / (1 - a) * (1 - a / b)
    seen: list[Tensor] = []

    def predict(x_t: Tensor, _: Tensor) -> Tensor:
        seen.append(x_t)
        return torch.zeros_like(x_t)

    for noise in (torch.zeros(1, 1).double(), torch.ones(1, 1).double()):
        ddim_sample(
            predict,
            schedule,
            torch.tensor([t, t - 1]),
            torch.ones(1, 1).double(),
            eta=1.0,
            step_noise=lambda _, noise=noise: noise,
        )
    assert (seen[3] - seen[1]).square().item() == pytest.approx(posterior, rel=1e-12)
