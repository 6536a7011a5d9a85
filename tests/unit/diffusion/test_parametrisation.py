"""What a network predicts, and the clean clip that follows from it."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.diffusion.schedule import noise_schedule

Kind = Literal["x0", "epsilon", "v"]
KINDS: list[Kind] = ["x0", "epsilon", "v"]
SCHEDULE = noise_schedule("cosine", 1000)
T = torch.tensor([0, 20, 500, 980, 999])


def parametrisation(kind: Kind, *, zero_terminal_snr: bool = False) -> Parametrisation:
    schedule = noise_schedule("cosine", 1000, zero_terminal_snr=zero_terminal_snr)
    return Parametrisation(schedule=schedule, prediction_type=kind)


def clips(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Returns clean clips and their noise."""
    generator = torch.Generator().manual_seed(0)
    x_0, noise = torch.randn(2, 5, 2, 1, 3, 3, generator=generator, dtype=torch.float64)
    return x_0.to(dtype), noise.to(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_stands_for_the_clean_clip(kind: Kind) -> None:
    x_0, noise = clips()
    x_t = SCHEDULE.add_noise(x_0, noise, T)
    made = parametrisation(kind)

    found = made.x0_from_output(made.target(x_0, noise, T), x_t, T)
    torch.testing.assert_close(found, x_0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["x0", "v"])
def test_the_target_stands_for_the_clean_clip_where_nothing_is_left_of_it(kind: Kind) -> None:
    x_0, noise = clips()
    made = parametrisation(kind, zero_terminal_snr=True)
    x_t = made.schedule.add_noise(x_0, noise, T)

    assert torch.equal(x_t[-1], noise[-1])
    found = made.x0_from_output(made.target(x_0, noise, T), x_t, T)
    torch.testing.assert_close(found, x_0, rtol=0, atol=1e-12)


def test_targets_are_the_clip_the_noise_and_their_velocity() -> None:
    x_0, noise = clips()
    share = SCHEDULE.alphas_cumprod[T].reshape(-1, 1, 1, 1, 1)

    assert torch.equal(parametrisation("x0").target(x_0, noise, T), x_0)
    assert torch.equal(parametrisation("epsilon").target(x_0, noise, T), noise)
    expected = share.sqrt() * noise - (1 - share).sqrt() * x_0
    torch.testing.assert_close(parametrisation("v").target(x_0, noise, T), expected)


def test_v_is_how_x_t_turns_from_the_clip_to_the_noise() -> None:
    """x_t = cos(p) x_0 + sin(p) noise, v = d x_t / d p (Salimans and Ho, 2022, appendix D)."""
    x_0, noise = clips()
    share = SCHEDULE.alphas_cumprod[T].reshape(-1, 1, 1, 1, 1)
    angle = share.sqrt().acos()
    step = 1e-6
    later, earlier = ((angle + by).cos() * x_0 + (angle + by).sin() * noise for by in (step, -step))
    found = parametrisation("v").target(x_0, noise, T)
    torch.testing.assert_close(found, (later - earlier) / (2 * step), rtol=0, atol=1e-8)


def test_an_error_of_the_output_is_the_same_error_of_the_clip_by_the_known_factor() -> None:
    """So a loss on epsilon or v is the one on x_0, weighted by the SNR or by 1 + SNR."""
    x_0, noise = clips()
    x_t = SCHEDULE.add_noise(x_0, noise, T)
    snr = SCHEDULE.log_snr().exp()[T]
    weights: dict[Kind, Tensor] = {"x0": torch.ones_like(snr), "epsilon": snr, "v": 1 + snr}
    for kind, weight in weights.items():
        made = parametrisation(kind)
        output = made.target(x_0, noise, T) + 0.1
        error = (made.x0_from_output(output, x_t, T) - x_0).square().flatten(1).mean(dim=1)
        torch.testing.assert_close(weight * error, torch.full_like(snr, 0.01), rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("output", "clip", "expected"),
    [
        (torch.float64, torch.float64, torch.float64),
        (torch.float32, torch.float32, torch.float32),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float16, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.float32),
    ],
    ids=str,
)
def test_numbers_are_float32_or_wider(
    kind: Kind, output: torch.dtype, clip: torch.dtype, expected: torch.dtype
) -> None:
    x_0, noise = clips(clip)
    made = parametrisation(kind)

    assert made.target(x_0, noise, T).dtype == expected
    assert made.x0_from_output(noise.to(output), x_0, T).dtype == expected


def test_a_half_output_is_judged_as_the_float32_numbers_that_it_holds() -> None:
    x_t, output = clips(torch.float32)
    half = output.bfloat16()
    made = parametrisation("v")

    assert torch.equal(made.x0_from_output(half, x_t, T), made.x0_from_output(half.float(), x_t, T))


def test_the_gradient_reaches_the_output() -> None:
    x_t, output = clips()
    output.requires_grad_()
    parametrisation("v").x0_from_output(output, x_t, T).sum().backward()

    expected = -(1 - SCHEDULE.alphas_cumprod[T]).sqrt().reshape(-1, 1, 1, 1, 1)
    assert output.grad is not None
    torch.testing.assert_close(output.grad, expected.expand_as(output))


def test_predicting_the_noise_of_pure_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="expected x0 or v"):
        parametrisation("epsilon", zero_terminal_snr=True)
