"""Held-out errors, clip by clip and level by level."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.diffusion.schedule import noise_schedule
from qdexp.evaluation.denoising_error import (
    HeldOutClips,
    denoising_errors,
    noise_levels,
)
from qdexp.model.predictor import QuantizedDiffusionPredictor

SCHEDULE = noise_schedule("linear", 1000)
X0 = Parametrisation(schedule=SCHEDULE, prediction_type="x0")


@pytest.fixture(scope="module")
def model() -> QuantizedDiffusionPredictor:
    config = ModelConfig(
        num_embeddings=32,
        embedding_dim=8,
        hidden_dim=16,
        num_layers=1,
        num_heads=2,
        dropout=0.5,
        patch_size=(1, 1, 1),
    )
    generator = torch.Generator().manual_seed(0)
    made = QuantizedDiffusionPredictor(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    made.quantizer.initialise(
        lambda _, shape: torch.randn(*shape, generator=generator), cluster_size=1.0
    )
    return made


def clips(count: int, decode: Callable[[Tensor], Tensor] = lambda x: 2 * x + 1) -> HeldOutClips:
    generator = torch.Generator().manual_seed(1)
    latents, noise = torch.randn(2, 5, 16, 2, 3, 3, generator=generator)
    return HeldOutClips(latents=latents[:count], noise=noise[:count], decode=decode)


def test_levels_are_even_in_log_snr_from_minus_4_to_5() -> None:
    levels = noise_levels(SCHEDULE, 16)

    assert levels.log_snr[0] == -4
    assert levels.log_snr[-1] == 5
    torch.testing.assert_close(levels.log_snr.diff(), torch.full((15,), 0.6, dtype=torch.float64))
    found = SCHEDULE.log_snr()[levels.timesteps]
    torch.testing.assert_close(found, levels.log_snr, atol=0.05, rtol=0)


def test_a_choice_of_levels_keeps_both_ends() -> None:
    levels = noise_levels(SCHEDULE, 16)
    chosen = levels.evenly_chosen(4)

    assert chosen.timesteps.tolist() == levels.timesteps[[0, 5, 10, 15]].tolist()
    assert levels.evenly_chosen(16).timesteps.tolist() == levels.timesteps.tolist()
    assert levels.evenly_chosen(1).timesteps.tolist() == levels.timesteps[[8]].tolist()


def test_each_error_is_that_of_one_clip_at_one_level(model: QuantizedDiffusionPredictor) -> None:
    levels, held_out = noise_levels(SCHEDULE, 4), clips(3)
    errors = denoising_errors(model, X0, levels, held_out)
    with torch.no_grad():
        t = levels.timesteps[2:3]
        x_0, noise = held_out.latents[1:2], held_out.noise[1:2]
        z = model.features(SCHEDULE.add_noise(x_0, noise, t), t)
        quantized = (model.decide(z).output - x_0).square().mean()
        unquantized = (model.bypass(z) - x_0).square().mean()

    assert errors.quantized.shape == (4, 3)
    assert errors.quantized[2, 1].item() == pytest.approx(quantized.item(), rel=1e-4)
    assert errors.unquantized[2, 1].item() == pytest.approx(unquantized.item(), rel=1e-4)


def test_pixels_are_compared_after_decoding(model: QuantizedDiffusionPredictor) -> None:
    errors = denoising_errors(model, X0, noise_levels(SCHEDULE, 4), clips(2))

    torch.testing.assert_close(errors.pixels, 4 * errors.quantized, rtol=1e-5, atol=0)


def test_measuring_fewer_clips_or_levels_gives_a_part_of_the_same_numbers(
    model: QuantizedDiffusionPredictor,
) -> None:
    levels = noise_levels(SCHEDULE, 16)
    everything = denoising_errors(model, X0, levels, clips(5))
    part = denoising_errors(model, X0, levels.evenly_chosen(4), clips(2))

    expected = everything.quantized[[0, 5, 10, 15], :2]
    torch.testing.assert_close(part.quantized, expected, rtol=1e-4, atol=0)


def test_measuring_leaves_model_and_global_generator_as_they_are(
    model: QuantizedDiffusionPredictor,
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first = denoising_errors(model.train(), X0, noise_levels(SCHEDULE, 4), clips(2))
    second = denoising_errors(model.train(), X0, noise_levels(SCHEDULE, 4), clips(2))

    assert torch.equal(first.quantized, second.quantized), "dropout was on"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_there_is_a_code_for_every_token_of_every_clip_at_every_level(
    model: QuantizedDiffusionPredictor,
) -> None:
    errors = denoising_errors(model, X0, noise_levels(SCHEDULE, 4), clips(3))

    assert errors.indices.shape == (3, 4, 2 * 3 * 3, 1)
