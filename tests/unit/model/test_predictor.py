"""The predictor: its shapes, its symmetries, and what it refuses."""

import pytest
import torch
from torch import Tensor

from qdexp.config.configuration import ModelConfig
from qdexp.errors import ConfigurationError
from qdexp.model.predictor import (
    QuantizedDiffusionPredictor,
    initial_deviation,
    timestep_embedding,
)
from qdexp.model.transformer_block import TransformerBlock


def predictor(patch: tuple[int, int, int] = (1, 2, 2)) -> QuantizedDiffusionPredictor:
    config = ModelConfig(
        num_embeddings=32,
        embedding_dim=8,
        hidden_dim=16,
        num_layers=2,
        num_heads=2,
        dropout=0.0,
        max_frames=3,
        max_grid=4,
        patch_size=patch,
    )
    model = QuantizedDiffusionPredictor(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.quantizer.set_codebook(torch.randn(32, 8, generator=generator), cluster_size=1.0)
    return model


def latents(clips: int, frames: int, rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(clips, 16, frames, rows, columns, generator=generator)


@pytest.mark.parametrize("patch", [(1, 2, 2), (1, 1, 1), (2, 2, 4)])
def test_prediction_has_the_latents_shape_and_a_code_for_every_patch(
    patch: tuple[int, int, int],
) -> None:
    prediction = predictor(patch)(latents(2, 2, 4, 4), torch.tensor([0, 999]))

    assert prediction.pred_x0.shape == (2, 16, 2, 4, 4)
    assert prediction.indices.shape == (2, 2 // patch[0], 4 // patch[1], 4 // patch[2])


@pytest.mark.parametrize("size", [(1, 2, 2), (3, 4, 6), (2, 8, 8)])
def test_sizes_up_to_the_limits_are_predicted(size: tuple[int, int, int]) -> None:
    prediction = predictor()(latents(1, *size), torch.tensor([5]))

    assert prediction.pred_x0.shape[2:] == size


@pytest.mark.parametrize(
    ("size", "axis"), [((4, 4, 4), "frames"), ((2, 3, 4), "rows"), ((2, 4, 10), "columns")]
)
def test_a_size_that_the_model_cannot_do_is_refused_by_its_axis(
    size: tuple[int, int, int], axis: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"latents whose {axis} are a multiple of"):
        predictor()(latents(1, *size), torch.tensor([5]))


def test_the_parts_compose_to_the_whole() -> None:
    model, x_t, t = predictor(), latents(2, 2, 4, 4), torch.tensor([10, 500])
    z = model.features(x_t, t)

    assert torch.equal(model.project(model.quantizer(z).z_q), model(x_t, t).pred_x0)
    assert not torch.allclose(model.project(z), model(x_t, t).pred_x0)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    model, x_t, t = predictor(), latents(3, 2, 4, 4), torch.tensor([10, 500, 900])
    alone = torch.cat([model.features(x_t[i : i + 1], t[i : i + 1]) for i in range(3)])

    torch.testing.assert_close(model.features(x_t, t), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_a_token_knows_its_place_along_every_axis(axis: int) -> None:
    model, x_t, t = predictor(), latents(1, 2, 4, 4), torch.tensor([10])
    flipped = model.features(x_t.flip(axis).contiguous(), t).flip(axis - 1)

    assert not torch.allclose(flipped, model.features(x_t, t), atol=1e-3)


def test_the_timestep_changes_the_features() -> None:
    model, x_t = predictor(), latents(1, 2, 4, 4)

    early, late = model.features(x_t, torch.tensor([10])), model.features(x_t, torch.tensor([11]))
    assert not torch.allclose(early, late, atol=1e-4)


def test_timestep_embeddings_are_distinct_for_neighbours() -> None:
    embedded = timestep_embedding(torch.arange(1000))
    distances = (embedded[1:] - embedded[:-1]).norm(dim=1)

    assert embedded.shape == (1000, 256)
    assert distances.min() > 0.5


def test_a_block_whose_modulation_is_zero_is_the_identity() -> None:
    block = TransformerBlock(predictor().config)
    torch.nn.init.zeros_(block.modulation.weight)
    torch.nn.init.zeros_(block.modulation.bias)
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))

    assert torch.equal(block(x, torch.ones(2, 16)), x)


def test_every_parameter_that_must_start_at_zero_does_and_no_other() -> None:
    zeros = {
        name
        for name, parameter in predictor().named_parameters()
        if initial_deviation(name, parameter) == 0
    }
    expected = {
        name
        for name, _ in predictor().named_parameters()
        if name.endswith("bias") or "modulation" in name
    }
    assert zeros == expected


def test_projections_between_patches_and_tokens_keep_the_variance() -> None:
    model = predictor((1, 2, 2))

    assert initial_deviation("input.weight", model.input.weight) == (16 * 4) ** -0.5
    assert initial_deviation("output.weight", model.output.weight) == 8**-0.5
    assert initial_deviation("to_code.weight", model.to_code.weight) == 16**-0.5
