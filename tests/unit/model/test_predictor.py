"""The predictor: its shapes, its symmetries, its two placements, and what it refuses."""

# pyright: basic

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from qdexp.errors import ConfigurationError
from qdexp.model.patches import patches_from_latents
from qdexp.model.predictor import QuantizedDiffusionPredictor, timestep_embedding
from qdexp.model.transformer_block import TransformerBlock

MakePredictor = Callable[..., QuantizedDiffusionPredictor]

VARIANTS = [
    {"attention": attention, "positions": positions, "conditioning": conditioning}
    for attention, positions, conditioning in itertools.product(
        ("full", "factorised"), ("learned", "rope"), ("adaln_zero", "additive")
    )
]
every_variant = pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: "-".join(variant.values())
)
ROPE_HEADS = {"num_heads": 1}
"""A head of all 16 dimensions: several pairs for each axis."""


def latents(clips: int, frames: int, rows: int, columns: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, 16, frames, rows, columns, generator=generator)


@pytest.mark.parametrize("placement", ["bottleneck", "output"])
@pytest.mark.parametrize("patch", [(1, 2, 2), (1, 1, 1), (2, 2, 4)])
def test_prediction_has_the_latents_shape_and_a_code_for_every_patch(
    make_predictor: MakePredictor, patch: tuple[int, int, int], placement: str
) -> None:
    model = make_predictor(patch_size=patch, quantizer_placement=placement)
    prediction = model(latents(2, 2, 4, 4), torch.tensor([0, 999]))

    assert prediction.output.shape == prediction.quantized_output.shape == (2, 16, 2, 4, 4)
    assert prediction.indices.shape == (2, 2 // patch[0], 4 // patch[1], 4 // patch[2], 1)


@every_variant
@pytest.mark.parametrize("size", [(1, 2, 2), (3, 4, 6), (2, 8, 8)])
def test_one_model_predicts_all_sizes_up_to_its_limits(
    make_predictor: MakePredictor, variant: dict[str, str], size: tuple[int, int, int]
) -> None:
    prediction = make_predictor(**variant, **ROPE_HEADS)(latents(1, *size), torch.tensor([5]))

    assert prediction.output.shape[2:] == size
    assert prediction.output.isfinite().all()


@pytest.mark.parametrize("positions", ["learned", "rope"])
@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ((4, 4, 4), "frames are a multiple of 1 and at most 3, found 4"),
        ((2, 3, 4), "rows are a multiple of 2 and at most 8, found 3"),
        ((2, 4, 10), "columns are a multiple of 2 and at most 8, found 10"),
        ((0, 4, 4), "frames are a multiple of 1 and at most 3, found 0"),
    ],
)
def test_a_size_that_the_model_cannot_do_is_refused_with_those_that_it_can(
    make_predictor: MakePredictor, size: tuple[int, int, int], problem: str, positions: str
) -> None:
    model = make_predictor(positions=positions)

    with pytest.raises(ConfigurationError, match=f"latents whose {problem}"):
        model(latents(1, *size), torch.tensor([5]))


def test_latents_of_another_autoencoder_are_refused(make_predictor: MakePredictor) -> None:
    with pytest.raises(ConfigurationError, match="expected latents of 16 channels, found 4"):
        make_predictor()(torch.zeros(1, 4, 2, 4, 4), torch.tensor([5]))


@pytest.mark.parametrize("placement", ["bottleneck", "output"])
def test_the_parts_compose_to_the_whole(make_predictor: MakePredictor, placement: str) -> None:
    model = make_predictor(quantizer_placement=placement)
    x_t, t = latents(2, 2, 4, 4), torch.tensor([10, 500])
    whole = model(x_t, t)
    z = model.features(x_t, t)
    parts = model.decide(z)

    assert torch.equal(parts.output, whole.output)
    assert torch.equal(parts.quantized_output, whole.quantized_output)
    assert torch.equal(model.quantizer(model.tokens(z)).indices, whole.indices)
    assert not torch.allclose(model.bypass(z), whole.quantized_output)


def test_in_the_bottleneck_the_output_is_decoded_from_codes(make_predictor: MakePredictor) -> None:
    model, x_t, t = make_predictor(), latents(2, 2, 4, 4), torch.tensor([10, 500])
    z = model.features(x_t, t)
    prediction = model.decide(z)

    assert prediction.output is prediction.quantized_output
    assert torch.equal(model.tokens(z), z)
    assert torch.equal(prediction.output, model.bypass(model.quantizer(z).z_q))


def test_at_the_output_its_patches_are_quantized(make_predictor: MakePredictor) -> None:
    model = make_predictor(quantizer_placement="output")
    z = model.features(latents(2, 2, 4, 4), torch.tensor([10, 500]))
    prediction = model.decide(z)
    patches = patches_from_latents(prediction.output, (1, 2, 2))
    quantized = model.quantizer(patches)

    assert torch.equal(prediction.output, model.bypass(z))
    assert torch.equal(model.tokens(z), patches)
    assert torch.equal(patches_from_latents(prediction.quantized_output, (1, 2, 2)), quantized.z_q)
    expected = functional.mse_loss(prediction.quantized_output, prediction.output)
    torch.testing.assert_close(prediction.commitment_loss, expected)


def test_at_the_output_the_denoiser_learns_without_the_codes(make_predictor: MakePredictor) -> None:
    x_t, t = latents(2, 2, 4, 4), torch.tensor([10, 500])
    gradients: list[Tensor] = []
    for quantizer in ("ema", "none"):
        model = make_predictor(quantizer=quantizer, quantizer_placement="output")
        functional.mse_loss(model(x_t, t).output, x_t).backward()
        assert model.output.weight.grad is not None
        gradients.append(model.output.weight.grad)

    assert torch.equal(*gradients)


@pytest.mark.parametrize("placement", ["bottleneck", "output"])
def test_without_a_quantizer_every_path_is_the_same(
    make_predictor: MakePredictor, placement: str
) -> None:
    model = make_predictor(quantizer="none", quantizer_placement=placement)
    z = model.features(latents(2, 2, 4, 4), torch.tensor([10, 500]))
    prediction = model.decide(z)

    assert torch.equal(prediction.output, model.bypass(z))
    assert torch.equal(prediction.quantized_output, model.bypass(z))
    assert prediction.indices.shape == (2, 2, 2, 2, 0)


@pytest.mark.parametrize("placement", ["bottleneck", "output"])
@pytest.mark.parametrize(
    ("quantizer", "codes"),
    [("ema", 1), ("ema", 3), ("cosine", 1), ("gradient", 2), ("simvq", 1), ("fsq", 1), ("lfq", 1)],
)
def test_every_quantizer_trains_the_network_in_both_placements(
    make_predictor: MakePredictor, quantizer: str, codes: int, placement: str
) -> None:
    model = make_predictor(
        quantizer=quantizer, quantizer_placement=placement, codes_per_token=codes
    )
    x_t = latents(2, 2, 4, 4)
    prediction = model(x_t, torch.tensor([10, 500]))
    (functional.mse_loss(prediction.quantized_output, x_t) + prediction.vq_loss).backward()

    assert prediction.indices.shape == (2, 2, 2, 2, codes)
    for name in ("input.weight", "to_code.weight", "output.weight"):
        gradient = model.get_parameter(name).grad
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


@every_variant
def test_clips_of_a_batch_do_not_see_each_other(
    make_predictor: MakePredictor, variant: dict[str, str]
) -> None:
    model = make_predictor(**variant, **ROPE_HEADS).double()
    x_t, t = latents(3, 2, 4, 4).double(), torch.tensor([10, 500, 900])
    alone = torch.cat([model.features(x_t[i : i + 1], t[i : i + 1]) for i in range(3)])

    torch.testing.assert_close(model.features(x_t, t), alone, rtol=0, atol=1e-12)


@every_variant
@pytest.mark.parametrize("axis", [2, 3, 4])
def test_a_token_knows_its_place_along_every_axis(
    make_predictor: MakePredictor, variant: dict[str, str], axis: int
) -> None:
    model = make_predictor(**variant, **ROPE_HEADS)
    x_t, t = latents(1, 3, 8, 8), torch.tensor([10])
    flipped = model.features(x_t.flip(axis).contiguous(), t).flip(axis - 1)

    assert not torch.allclose(flipped, model.features(x_t, t), atol=1e-3)


def test_learned_positions_belong_to_frame_row_and_column(make_predictor: MakePredictor) -> None:
    """Blocks whose gates are shut leave the tokens as they are: conv(0) + positions."""
    model = make_predictor(patch_size=(1, 1, 1)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modulation" in name or name.startswith("input."):
                parameter.zero_()
    found = model.features(torch.zeros(1, 16, 2, 3, 4, dtype=torch.float64), torch.tensor([7]))

    for frame, row, column in itertools.product(range(2), range(3), range(4)):
        position = (
            model.frame_positions[frame] + model.row_positions[row] + model.column_positions[column]
        )
        expected = model.to_code(functional.layer_norm(position, (16,)))
        torch.testing.assert_close(found[0, frame, row, column], expected, rtol=0, atol=1e-12)


@every_variant
def test_the_timestep_changes_the_features(
    make_predictor: MakePredictor, variant: dict[str, str]
) -> None:
    model, x_t = make_predictor(**variant, **ROPE_HEADS), latents(1, 2, 4, 4)

    early, late = model.features(x_t, torch.tensor([10])), model.features(x_t, torch.tensor([11]))
    assert not torch.allclose(early, late, atol=1e-4)


def test_timestep_embeddings_are_distinct_for_neighbours() -> None:
    embedded = timestep_embedding(torch.arange(1000))
    distances = (embedded[1:] - embedded[:-1]).norm(dim=1)

    assert embedded.shape == (1000, 256)
    assert distances.min() > 0.5


def test_timestep_embeddings_are_as_precise_as_the_network() -> None:
    t = torch.arange(0, 1000, 37)
    angles = t.double()[:, None] * 10_000 ** (-torch.arange(128, dtype=torch.float64) / 128)
    expected = torch.cat([angles.cos(), angles.sin()], dim=1)

    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 2e-4), (torch.bfloat16, 4e-3)):
        embedded = timestep_embedding(t, dtype)
        assert embedded.dtype == dtype
        torch.testing.assert_close(embedded.double(), expected, rtol=0, atol=error)


def test_factorised_blocks_attend_over_space_and_over_time_in_turn(
    make_predictor: MakePredictor,
) -> None:
    def attended(model: QuantizedDiffusionPredictor) -> list[str]:
        blocks = [block for block in model.modules() if isinstance(block, TransformerBlock)]
        return [block.attention.attended for block in blocks]

    model = make_predictor(attention="factorised", num_layers=4)
    assert attended(model) == ["space", "time"] * 2
    assert set(attended(make_predictor())) == {"all"}


def test_names_and_their_order_are_those_of_checkpoints_written_so_far(
    make_predictor: MakePredictor,
) -> None:
    names = [name for name, _ in make_predictor(num_layers=1).named_parameters()]
    inputs = ["input.weight", "input.bias", "time.0.weight", "time.0.bias"]
    block = ["modulation", "attention.qkv", "attention.out", "feed_forward.0", "feed_forward.2"]
    outputs = ["modulation", "to_code", "output"]

    assert names == [
        "frame_positions",
        "row_positions",
        "column_positions",
        *inputs,
        "time.2.weight",
        "time.2.bias",
        *(f"blocks.0.{part}.{kind}" for part in block for kind in ("weight", "bias")),
        *(f"{part}.{kind}" for part in outputs for kind in ("weight", "bias")),
    ]
