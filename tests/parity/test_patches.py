"""Conv3D in and out are linear layers on patches that loops cut out."""

# pyright: basic

import itertools

import pytest
import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.patches import PatchSize, latents_from_patches, patches_from_latents
from qdexp.model.predictor import QuantizedDiffusionPredictor

GRID = (2, 3, 4)
PATCHES = [(1, 1, 1), (1, 2, 2), (2, 1, 3)]
EXACT = {"rtol": 0, "atol": 1e-12}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def latents(patch: PatchSize, channels: int = 3) -> Tensor:
    return normal(2, channels, *(count * size for count, size in zip(GRID, patch, strict=True)))


def cut_out(x: Tensor, patch: PatchSize, place: tuple[int, ...]) -> Tensor:
    """Returns a patch (b, c, pt, ph, pw) of latents."""
    slices = (slice(i * size, (i + 1) * size) for i, size in zip(place, patch, strict=True))
    return x[:, :, *slices]


def predictor(patch: PatchSize) -> QuantizedDiffusionPredictor:
    config = ModelConfig(
        latent_channels=3,
        num_embeddings=8,
        embedding_dim=5,
        hidden_dim=8,
        num_layers=1,
        num_heads=1,
        patch_size=patch,
        quantizer="none",
    )
    model = QuantizedDiffusionPredictor(config).double()
    with torch.no_grad():
        for seed, parameter in enumerate(model.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed))
    return model


@pytest.mark.parametrize("patch", PATCHES)
def test_patches_are_those_that_loops_cut_out(patch: PatchSize) -> None:
    x = latents(patch)
    patches = patches_from_latents(x, patch)

    for place in itertools.product(*map(range, GRID)):
        assert torch.equal(patches[:, *place], cut_out(x, patch, place).flatten(1))
    assert torch.equal(latents_from_patches(patches, patch), x)


@pytest.mark.parametrize("patch", PATCHES)
def test_the_input_convolution_is_a_linear_layer_on_patches(patch: PatchSize) -> None:
    x, model = latents(patch), predictor(patch)
    found = model.input(x)
    weight, bias = model.input.weight.flatten(1), model.input.bias
    assert bias is not None

    assert found.shape[2:] == GRID
    for place in itertools.product(*map(range, GRID)):
        expected = cut_out(x, patch, place).flatten(1) @ weight.T + bias
        torch.testing.assert_close(found[:, :, *place], expected, **EXACT)


@pytest.mark.parametrize("patch", PATCHES)
def test_the_output_convolution_is_a_linear_layer_to_patches(patch: PatchSize) -> None:
    z, model = normal(2, *GRID, 5), predictor(patch)
    found = model.bypass(z)
    weight, bias = model.output.weight.flatten(1), model.output.bias

    assert bias is not None
    assert found.shape == latents(patch).shape
    for place in itertools.product(*map(range, GRID)):
        expected = (z[:, *place] @ weight).unflatten(1, (3, *patch)) + bias[:, None, None, None]
        torch.testing.assert_close(cut_out(found, patch, place), expected, **EXACT)
