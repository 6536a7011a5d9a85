"""The predictor's numbers: their types, how they begin, and that nothing is kept of a call."""

# pyright: basic

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from qdexp.config.presets import PRESETS, preset
from qdexp.model.predictor import Prediction, QuantizedDiffusionPredictor, initial_deviation

MakePredictor = Callable[..., QuantizedDiffusionPredictor]

ALTERNATIVES = {
    "attention": "factorised",
    "positions": "rope",
    "conditioning": "additive",
    "num_heads": 1,
}
both = pytest.mark.parametrize("changes", [{}, ALTERNATIVES], ids=["default", "alternatives"])


def latents(clips: int = 2) -> Tensor:
    return torch.randn(clips, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))


T = torch.tensor([10, 500])


def trained_loss(prediction: Prediction) -> Tensor:
    return prediction.output.float().square().mean() + prediction.vq_loss


@both
@pytest.mark.parametrize("placement", ["bottleneck", "output"])
def test_everything_is_float64_in_a_network_of_float64(
    make_predictor: MakePredictor, changes: dict[str, object], placement: str
) -> None:
    narrow = make_predictor(**changes, quantizer_placement=placement)
    wide = make_predictor(**changes, quantizer_placement=placement).double()
    prediction = wide(latents().double(), T)

    parts = (prediction.output, prediction.vq_loss, prediction.statistics.sums)
    assert {part.dtype for part in parts} == {torch.float64}
    features = wide.features(latents().double(), T)
    torch.testing.assert_close(
        narrow.features(latents(), T).double(), features, rtol=1e-4, atol=1e-4
    )


@both
def test_no_step_of_a_float64_network_is_narrower(
    make_predictor: MakePredictor, changes: dict[str, object]
) -> None:
    """Twice a change of 1e-8 changes twice as much; rounded to float32 it would be noise."""
    model, x_t = make_predictor(**changes).double(), latents().double()
    change = 1e-8 * latents().double().flip(0)
    before, once, twice = (model.features(x_t + n * change, T) for n in range(3))

    torch.testing.assert_close(twice - before, 2 * (once - before), rtol=1e-4, atol=1e-12)
    assert (once - before).abs().max() > 1e-9


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("placement", ["bottleneck", "output"])
def test_autocast_narrows_products_and_neither_tokens_nor_losses(
    make_predictor: MakePredictor, changes: dict[str, object], dtype: torch.dtype, placement: str
) -> None:
    model = make_predictor(**changes, quantizer_placement=placement)
    full = model.features(latents(), T)
    seen: list[torch.dtype] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", dtype=dtype):
        narrow = model.features(latents(), T)
        prediction = model.decide(narrow)
        loss = trained_loss(prediction)
    loss.backward()

    assert narrow.dtype == prediction.output.dtype == dtype
    assert set(seen) == {torch.float32}
    assert prediction.vq_loss.dtype == prediction.statistics.sums.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    error = (narrow.float() - full).norm() / full.norm()
    assert 0 < error < (0.05 if dtype == torch.bfloat16 else 0.01)


@both
def test_parameters_begin_at_zero_where_they_must_and_nowhere_else(
    make_predictor: MakePredictor, changes: dict[str, object]
) -> None:
    zeros = {
        name
        for name, parameter in make_predictor(**changes).named_parameters()
        if initial_deviation(name, parameter) == 0
    }
    assert zeros == {
        name
        for name, _ in make_predictor(**changes).named_parameters()
        if name.endswith(("bias", "scale", "shift")) or "modulation" in name
    }


def test_projections_between_patches_and_tokens_keep_the_variance(
    make_predictor: MakePredictor,
) -> None:
    model = make_predictor()

    assert initial_deviation("input.weight", model.input.weight) == (16 * 4) ** -0.5
    assert initial_deviation("output.weight", model.output.weight) == 8**-0.5
    assert initial_deviation("to_code.weight", model.to_code.weight) == 16**-0.5
    assert initial_deviation("row_positions", model.row_positions) == 0.02


@pytest.mark.parametrize("quantizer", ["fsq", "lfq"])
@pytest.mark.parametrize("placement", ["bottleneck", "output"])
def test_projections_of_a_quantizer_keep_the_variance(
    make_predictor: MakePredictor, quantizer: str, placement: str
) -> None:
    model = make_predictor(quantizer=quantizer, quantizer_placement=placement)
    linear = [module for module in model.quantizer.modules() if isinstance(module, nn.Linear)]

    assert len(linear) == 2
    assert linear[0].in_features == (8 if placement == "bottleneck" else 16 * 4)
    for layer in linear:
        expected = layer.in_features**-0.5
        assert initial_deviation("quantizer.layer.weight", layer.weight) == expected


@both
def test_a_call_is_a_function_of_parameters_and_inputs(
    make_predictor: MakePredictor, changes: dict[str, object]
) -> None:
    """So several networks of one shape can run as one, stacked."""
    models = [make_predictor(**changes), make_predictor(**changes)]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(-0.5)
    parameters, buffers = stack_module_state(models)
    x_t = latents()
    one_by_one = torch.stack([model(x_t, T).output for model in models])
    with sdpa_kernel(SDPBackend.MATH):  # The CPU's other kernel warns that it cannot be stacked.
        stacked = vmap(lambda p, b: functional_call(models[0], (p, b), (x_t, T)).output)(
            parameters, buffers
        )

    torch.testing.assert_close(stacked, one_by_one)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_call_changes_nothing_in_the_network(make_predictor: MakePredictor, mode: str) -> None:
    model = make_predictor(dropout=0.5, dead_code_threshold=0.5).train(mode == "train")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained_loss(model(latents(), T)).backward()

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.attention": "factorised", "model.positions": "rope"},
        {"model.conditioning": "additive", "model.quantizer_placement": "output"},
    ],
    ids=["as_it_is", "factorised_rope", "additive_output"],
)
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_computes_and_learns_on_the_meta_device(
    name: str, changes: dict[str, object]
) -> None:
    config = preset(name).replace(changes)
    with torch.device("meta"):
        model = QuantizedDiffusionPredictor(config.model)
        x_t = torch.zeros(2, *config.latent_shape)
        prediction = model(x_t, torch.zeros(2, dtype=torch.long))
    trained_loss(prediction).backward()

    assert prediction.output.shape == x_t.shape
    assert prediction.indices[..., 0].numel() == 2 * config.tokens_per_clip
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
