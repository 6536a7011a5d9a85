"""The block: how it begins, what it mixes, and how it learns the timestep."""

# pyright: basic

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.attention import Attended
from qdexp.model.predictor import initial_deviation
from qdexp.model.transformer_block import AffineLayerNorm, TransformerBlock, modulate

GRID = (3, 2, 4)
WIDTH = 16


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def new_block(
    conditioning: Literal["adaln_zero", "additive"],
    attended: Attended = "all",
    dropout: float = 0.0,
) -> TransformerBlock:
    """Returns a block with the values that a training begins with."""
    config = ModelConfig(hidden_dim=WIDTH, num_heads=2, dropout=dropout, conditioning=conditioning)
    block = TransformerBlock(config, attended)
    with torch.no_grad():
        for seed, (name, parameter) in enumerate(block.named_parameters()):
            parameter.copy_(
                initial_deviation(name, parameter) * normal(*parameter.shape, seed=seed)
            )
    return block


@pytest.mark.parametrize("attended", ["all", "space", "time"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_new_block_of_adaln_zero_is_the_identity(attended: Attended, dropout: float) -> None:
    x = normal(2, *GRID, WIDTH)

    assert torch.equal(new_block("adaln_zero", attended, dropout)(x, normal(2, WIDTH)), x)


def test_a_new_block_of_additive_conditioning_mixes_at_once() -> None:
    x = normal(2, *GRID, WIDTH)

    assert not torch.allclose(new_block("additive")(x, normal(2, WIDTH)), x, atol=0.1)


def test_gates_shift_and_scale_follow_the_timestep() -> None:
    block, x = new_block("adaln_zero"), normal(2, *GRID, WIDTH)
    with torch.no_grad():
        assert block.modulation is not None
        block.modulation.weight.copy_(normal(6 * WIDTH, WIDTH))
    early, late = block(x, normal(2, WIDTH, seed=1)), block(x, normal(2, WIDTH, seed=2))

    assert not torch.allclose(early, late, atol=0.1)


@pytest.mark.parametrize(
    ("attended", "reached"),
    [
        ("all", torch.ones(GRID, dtype=torch.bool)),
        ("space", torch.zeros(GRID, dtype=torch.bool).index_fill(0, torch.tensor(1), value=True)),
        (
            "time",
            torch.zeros(GRID, dtype=torch.bool).index_put(
                (torch.arange(3), torch.tensor(0), torch.tensor(2)), torch.tensor(True)
            ),
        ),
    ],
)
def test_what_changes_in_a_token_reaches_those_that_attend_to_it(
    attended: Attended, reached: Tensor
) -> None:
    block, x = new_block("additive", attended), normal(1, *GRID, WIDTH)
    changed = x.clone()
    changed[0, 1, 0, 2] += normal(WIDTH, seed=3)
    difference = block(changed, normal(1, WIDTH)) - block(x, normal(1, WIDTH))

    assert torch.equal(difference[0].abs().amax(dim=-1) > 1e-5, reached)


def test_an_affine_layer_norm_starts_plain_and_then_scales_and_shifts() -> None:
    norm, x = AffineLayerNorm(WIDTH), normal(2, *GRID, WIDTH)
    assert torch.equal(norm(x), functional.layer_norm(x, (WIDTH,)))

    scale, shift = normal(WIDTH, seed=1), normal(WIDTH, seed=2)
    with torch.no_grad():
        norm.scale.copy_(scale)
        norm.shift.copy_(shift)
    expected = functional.layer_norm(x, (WIDTH,), 1 + scale, shift)
    assert torch.equal(norm(x), expected)


def test_a_small_scale_is_not_rounded_away_when_it_is_narrow() -> None:
    x, scale = normal(2, *GRID, WIDTH), torch.full((2, WIDTH), 1e-3).bfloat16()
    modulated = modulate(x, torch.zeros(2, WIDTH).bfloat16(), scale)

    assert modulated.dtype == torch.float32
    torch.testing.assert_close(modulated, x * (1 + scale.float()[0, 0]))
