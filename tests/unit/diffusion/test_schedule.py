"""The forward process."""

import math
from typing import Literal

import pytest
import torch

from qdexp.diffusion.schedule import noise_schedule

KINDS: list[Literal["linear", "cosine"]] = ["linear", "cosine"]
LINEAR: Literal["linear"] = "linear"
COSINE: Literal["cosine"] = "cosine"
LAST = torch.tensor([999])


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [10, 1000])
def test_zero_terminal_snr_leaves_nothing_of_the_signal_and_starts_as_before(
    kind: Literal["linear", "cosine"], count: int
) -> None:
    plain = noise_schedule(kind, count).alphas_cumprod
    found = noise_schedule(kind, count, zero_terminal_snr=True).alphas_cumprod

    assert found[-1] == 0
    assert found[0].item() == pytest.approx(plain[0].item(), rel=1e-15)
    assert (found.diff() < 0).all()
    assert (found <= plain + 1e-15).all()


@pytest.mark.parametrize("kind", KINDS)
def test_zero_terminal_snr_makes_no_nan_anywhere(kind: Literal["linear", "cosine"]) -> None:
    schedule = noise_schedule(kind, 1000, zero_terminal_snr=True)
    wanted = torch.linspace(-4, 5, 16, dtype=torch.float64)
    noise = torch.full((1, 2), 0.3, dtype=torch.float64)

    assert schedule.log_snr()[-1] == -math.inf
    assert not schedule.log_snr().isnan().any()
    assert (schedule.timesteps_nearest_to(wanted) < 999).all()
    assert torch.equal(schedule.add_noise(7 * torch.ones_like(noise), noise, LAST), noise)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("noise_dtype", [torch.float32, torch.float64])
def test_adding_noise_keeps_the_numbers_of_the_clip(
    dtype: torch.dtype, noise_dtype: torch.dtype
) -> None:
    x_0, noise = torch.ones(1, 2, dtype=dtype), torch.ones(1, 2, dtype=noise_dtype)
    assert noise_schedule("linear", 1000).add_noise(x_0, noise, LAST).dtype == dtype


def test_a_float64_clip_is_mixed_in_float64() -> None:
    schedule = noise_schedule("linear", 1000)
    share = schedule.alphas_cumprod[999].item()
    one = torch.ones(1, 1, dtype=torch.float64)

    found = schedule.add_noise(2 * one, 3 * one, LAST).item()
    assert found == pytest.approx(2 * share**0.5 + 3 * (1 - share) ** 0.5, rel=1e-15)
