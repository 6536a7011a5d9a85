"""Recomputing activations changes memory and time, and nothing else."""

# pyright: basic

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from qdexp.model.predictor import QuantizedDiffusionPredictor

MakePredictor = Callable[..., QuantizedDiffusionPredictor]

ALTERNATIVES = {
    "attention": "factorised",
    "positions": "rope",
    "conditioning": "additive",
    "num_heads": 1,
}
both = pytest.mark.parametrize("changes", [{}, ALTERNATIVES], ids=["default", "alternatives"])


def gradients(model: QuantizedDiffusionPredictor) -> dict[str, Tensor]:
    """Returns the loss and its gradients, with dropout drawn from a seed."""
    x_t = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)
    prediction = model(x_t, torch.tensor([10, 500]))
    loss = prediction.output.square().mean() + prediction.vq_loss
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **found}


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_bit_for_bit_those_of_kept_activations(
    make_predictor: MakePredictor, changes: dict[str, object], dtype: torch.dtype
) -> None:
    kept, recomputed = (make_predictor(**changes, dropout=0.3) for _ in range(2))
    recomputed.checkpoint_activations = True
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        expected, found = gradients(kept), gradients(recomputed)

    assert list(found) == ["loss", *(name for name, _ in kept.named_parameters())]
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_every_block_is_computed_twice_and_the_quantizer_once(
    make_predictor: MakePredictor,
) -> None:
    model = make_predictor(dropout=0.3)
    model.checkpoint_activations = True
    calls: list[str] = []
    for name, module in model.named_modules():
        if name in ("blocks.0", "blocks.1", "quantizer"):
            module.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
    gradients(model)

    assert sorted(calls) == ["blocks.0", "blocks.0", "blocks.1", "blocks.1", "quantizer"]


def test_the_codebook_stays_and_its_statistics_count_every_token_once(
    make_predictor: MakePredictor,
) -> None:
    model = make_predictor(dropout=0.3, dead_code_threshold=0.5)
    model.checkpoint_activations = True
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    x_t = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    prediction = model(x_t, torch.tensor([10, 500]))
    prediction.output.square().mean().backward()

    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert len(before) > 0
    assert prediction.statistics.counts.sum() == prediction.indices.numel()


def test_nothing_is_recomputed_where_no_gradient_is_wanted(make_predictor: MakePredictor) -> None:
    model = make_predictor()
    model.checkpoint_activations = True
    with torch.no_grad():
        found = model(torch.zeros(1, 16, 2, 4, 4), torch.tensor([10]))

    assert not found.output.requires_grad
