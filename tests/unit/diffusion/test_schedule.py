"""The forward process."""

import math
from typing import Literal

import pytest
import torch

from qdexp.diffusion.schedule import noise_schedule

KINDS: list[Literal["linear", "cosine"]] = ["linear", "cosine"]
LINEAR: Literal["linear"] = "linear"
COSINE: Literal["cosine"] = "cosine"


def test_the_linear_schedule_is_the_one_of_ddpm() -> None:
    signal = 1.0
    expected: list[float] = []
    for t in range(1000):
        signal *= 1 - (1e-4 + t * (0.02 - 1e-4) / 999)
        expected.append(signal)

    assert noise_schedule("linear", 1000).alphas_cumprod.tolist() == pytest.approx(expected, 1e-12)


def test_the_cosine_schedule_follows_its_formula_until_beta_is_clipped() -> None:
    def f(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    found = noise_schedule("cosine", 1000).alphas_cumprod
    expected = [f((t + 1) / 1000) / f(0) for t in range(999)]
    assert found[:999].tolist() == pytest.approx(expected, rel=1e-9)
    assert (found[999] / found[998]).item() == pytest.approx(1 - 0.999)


@pytest.mark.parametrize(
    ("kind", "signal_at_900"), [(LINEAR, 0.016), (COSINE, 0.154)]
)  # sqrt(alpha_bar), measured elsewhere
def test_the_signal_that_is_left_late_is_the_known_one(
    kind: Literal["linear", "cosine"], signal_at_900: float
) -> None:
    found = noise_schedule(kind, 1000).alphas_cumprod[900].sqrt().item()
    assert found == pytest.approx(signal_at_900, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [10, 100, 1000, 4000])
def test_noise_rises_with_the_timestep(kind: Literal["linear", "cosine"], count: int) -> None:
    schedule = noise_schedule(kind, count)

    assert (schedule.alphas_cumprod.diff() < 0).all()
    assert (schedule.alphas_cumprod > 0).all()
    assert (schedule.log_snr().diff() < 0).all()


def test_fewer_timesteps_end_at_about_the_same_noise() -> None:
    coarse, fine = (noise_schedule("linear", count).log_snr()[-1] for count in (250, 1000))

    assert coarse.item() == pytest.approx(fine.item(), abs=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_adding_noise_keeps_the_variance_and_mixes_as_stated(
    kind: Literal["linear", "cosine"],
) -> None:
    schedule = noise_schedule(kind, 1000)
    t = torch.tensor([0, 400, 999])
    share = schedule.alphas_cumprod[t].float()
    ones, zeros = torch.ones(3, 2, 1, 2, 2), torch.zeros(3, 2, 1, 2, 2)

    signal, noise = schedule.add_noise(ones, zeros, t), schedule.add_noise(zeros, ones, t)
    torch.testing.assert_close(signal[:, 0, 0, 0, 0] ** 2, share)
    torch.testing.assert_close(signal**2 + noise**2, ones)
    assert signal.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_the_timestep_found_for_a_log_snr_is_the_nearest(kind: Literal["linear", "cosine"]) -> None:
    schedule = noise_schedule(kind, 1000)
    wanted = torch.linspace(-4, 5, 16, dtype=torch.float64)
    found = schedule.timesteps_nearest_to(wanted)

    for level, t in zip(wanted.tolist(), found.tolist(), strict=True):
        distances = [abs(value - level) for value in schedule.log_snr().tolist()]
        assert distances[t] == min(distances)
    assert (found.diff() < 0).all()
