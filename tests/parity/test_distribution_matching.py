"""Distillation reaches what theory says it does, and fails where theory says it must.

A Gaussian whose scores are known in closed form, and a ring whose scores are networks.
"""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from qdexp.diffusion.distribution_matching import (
    few_step_input,
    few_step_sample,
    matching_gradient,
    matching_loss,
)
from tests.parity.toy_distillation import (
    MODE_DEVIATION,
    MODES,
    NUM_MODES,
    SCHEDULE,
    SCORE_RANGE,
    Distillation,
    Draws,
    ToyDenoiser,
    energy_distance,
    ring,
    ring_x0,
)

ONE_STEP = torch.tensor([999])
TWO_STEPS = torch.tensor([999, 499])
FOUR_STEPS = torch.tensor([999, 749, 499, 249])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def gaussian_x0(x_t: Tensor, t: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """E[x_0 | x_t] where x_0 is normal."""
    share = SCHEDULE.alphas_cumprod[t].to(x_t.dtype)[:, None]
    gain = share.sqrt() * deviation**2 / (share * deviation**2 + 1 - share)
    return mean + gain * (x_t - share.sqrt() * mean)


def distilled_gaussian(*, num_steps: int, has_fake: bool) -> tuple[float, float]:
    """Returns a and b of a generator a z + b, distilled from N(2, 0.5^2)."""
    draws = Draws(0)
    mean, deviation = torch.tensor(2.0), torch.tensor(0.5)
    a, b = torch.tensor(1.5, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    optimizer = torch.optim.Adam([a, b], betas=(0.0, 0.999))
    for step in range(num_steps):
        x = a * draws.normal(256, 1) + b
        t = draws.integers(256, *SCORE_RANGE)
        with torch.no_grad():
            x_t = SCHEDULE.add_noise(x, draws.normal(256, 1), t)
            real = gaussian_x0(x_t, t, mean, deviation)
            fake = gaussian_x0(x_t, t, b, a) if has_fake else x
        optimizer.zero_grad()
        matching_loss(x, matching_gradient(x, real, fake)).backward()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / num_steps)
        optimizer.step()
    return a.item(), b.item()


def test_a_gaussian_generator_reaches_the_datas_mean_and_deviation() -> None:
    a, b = distilled_gaussian(num_steps=1500, has_fake=True)
    assert abs(a) == pytest.approx(0.5, abs=0.01)
    assert b == pytest.approx(2.0, abs=0.01)


def test_a_gaussian_generator_without_the_fake_score_collapses_to_the_mean() -> None:
    a, b = distilled_gaussian(num_steps=1500, has_fake=False)
    assert abs(a) < 0.01
    assert b == pytest.approx(2.0, abs=0.05)


@pytest.fixture(scope="module")
def teacher() -> ToyDenoiser:
    """A network fitted to E[x_0 | x_t] over all timesteps."""
    draws = Draws(1)
    network = ToyDenoiser(draws)
    optimizer = torch.optim.Adam(network.parameters())
    for step in range(2000):
        t = draws.integers(512, 0, 999)
        x_t = SCHEDULE.add_noise(ring(draws, 512), draws.normal(512, 2), t)
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x_t, t), ring_x0(x_t, t)).backward()
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 2000)
        optimizer.step()
    return network.requires_grad_(False)


@torch.no_grad()
def predicted(network: ToyDenoiser, timesteps: Tensor, *, num_calls: int, count: int) -> Tensor:
    """Returns the predictions of a student's call after `num_calls` others."""
    draws = Draws(3)
    return network(
        *few_step_input(network, SCHEDULE, timesteps, lambda _: draws.normal(count, 2), num_calls)
    )


@torch.no_grad()
def sampled(network: ToyDenoiser, timesteps: Tensor) -> Tensor:
    draws = Draws(3)
    return few_step_sample(network, SCHEDULE, timesteps, lambda _: draws.normal(2048, 2))


def quality(x: Tensor) -> tuple[float, int]:
    """Returns the samples' energy distance to the ring, and how many modes they cover.

    A mode is covered by a quarter of its share of the samples within four of its deviations.
    """
    distances = torch.cdist(x, MODES)
    nearest = distances.argmin(1)[distances.amin(1) < 4 * MODE_DEVIATION]
    is_covered = torch.bincount(nearest, minlength=NUM_MODES) >= len(x) / NUM_MODES / 4
    return energy_distance(x, ring(Draws(4), 2048)), int(is_covered.sum())


def test_two_draws_of_the_ring_are_no_distance_apart_and_a_point_is() -> None:
    draws = Draws(4)
    x, y = ring(draws, 2048), ring(draws, 2048)

    assert abs(energy_distance(x, y)) < 0.005
    assert energy_distance(torch.zeros_like(x), y) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("timesteps", [ONE_STEP, TWO_STEPS], ids=["one_step", "two_steps"])
def test_a_few_step_student_covers_the_ring(teacher: ToyDenoiser, timesteps: Tensor) -> None:
    before = copy.deepcopy(teacher.state_dict())
    energy_of_the_teacher, _ = quality(sampled(teacher, timesteps))
    distillation = Distillation(teacher, timesteps, "trained")
    distillation.run(500)
    energy, num_covered = quality(sampled(distillation.student, timesteps))

    assert energy < 0.05
    assert energy < energy_of_the_teacher / 4
    assert num_covered == NUM_MODES
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


@pytest.mark.slow
def test_all_calls_of_a_student_together_cover_the_ring(teacher: ToyDenoiser) -> None:
    distillation = Distillation(teacher, FOUR_STEPS, "trained")
    distillation.run(500)
    together = torch.cat(
        [
            predicted(distillation.student, FOUR_STEPS, num_calls=num_calls, count=512)
            for num_calls in range(4)
        ]
    )
    # One fake score sees the samples of all calls, so that their mixture alone is matched: what a
    # mode has too much of in one call it may have too little of in another.
    energy, num_covered = quality(together)

    assert energy < 0.05
    assert num_covered == NUM_MODES


@pytest.mark.slow
def test_a_student_without_the_fake_score_loses_the_modes(teacher: ToyDenoiser) -> None:
    energy_of_the_teacher, _ = quality(sampled(teacher, TWO_STEPS))
    distillation = Distillation(teacher, TWO_STEPS, "absent")
    distillation.run(500)
    energy, num_covered = quality(sampled(distillation.student, TWO_STEPS))

    assert energy > energy_of_the_teacher > 0.5
    assert num_covered == 0


@pytest.mark.slow
def test_a_fake_score_that_is_never_trained_stops_the_student_in_silence(
    teacher: ToyDenoiser,
) -> None:
    distillation = Distillation(teacher, TWO_STEPS, "never trained")
    distillation.run(50)

    assert distillation.greatest_gradient == 0
    assert quality(sampled(distillation.student, TWO_STEPS)) == quality(sampled(teacher, TWO_STEPS))


@pytest.mark.slow
def test_distillation_is_a_function_of_its_seed(teacher: ToyDenoiser) -> None:
    students: list[dict[str, Tensor]] = []
    for _ in range(2):
        distillation = Distillation(teacher, FOUR_STEPS, "trained")
        distillation.run(5)
        students.append(distillation.student.state_dict())

    assert all(torch.equal(students[0][name], value) for name, value in students[1].items())
