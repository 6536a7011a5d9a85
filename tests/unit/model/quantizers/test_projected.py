"""The quantizers without a codebook: their numbers, their indices, their entropies."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qdexp.config.model_config import ModelConfig, fsq_levels
from qdexp.model.quantizers.fsq import FSQQuantizer
from qdexp.model.quantizers.lfq import (
    INVERSE_TEMPERATURE,
    LFQQuantizer,
    entropy_loss,
    mean_code_distribution,
)

SIZES = [number for number in range(3, 700) if fsq_levels(number)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fsq(codes: int) -> FSQQuantizer:
    return FSQQuantizer(ModelConfig(quantizer="fsq", num_embeddings=codes), 4)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SIZES))
def test_fsq_s_codes_and_indices_are_one_to_one(codes: int) -> None:
    quantizer, indices = fsq(codes), torch.arange(codes)
    values = quantizer.values_from_indices(indices)

    assert len(values.unique(dim=0)) == codes
    assert torch.equal(quantizer.indices_from_values(values), indices)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SIZES))
def test_fsq_reaches_every_code_and_no_other(codes: int) -> None:
    quantizer = fsq(codes)
    indices = torch.arange(codes)
    extremes = 20 * normal(20_000, len(quantizer.levels))
    halves = torch.tensor([(level - 1) / 2 for level in quantizer.levels])
    offsets = torch.tensor([0.5 if level % 2 == 0 else 0.0 for level in quantizer.levels])
    widths = torch.tensor([level // 2 for level in quantizer.levels])
    # The inverse of the bound, slightly inside of it.
    inner = (quantizer.values_from_indices(indices) * widths + offsets) / (halves * 1.0005)
    shifts = (offsets / (halves * 1.001)).atanh()
    found = quantizer.rounded(inner.atanh() - shifts)

    assert torch.equal(found.indices, indices)
    assert quantizer.rounded(extremes).indices.min() >= 0
    assert quantizer.rounded(extremes).indices.max() < codes


def test_fsq_keeps_nothing_at_nothing() -> None:
    quantizer = fsq(4096)

    torch.testing.assert_close(quantizer.bounded(torch.zeros(1, 4)), torch.zeros(1, 4))


def test_lfq_s_index_is_the_number_that_the_signs_write() -> None:
    quantizer = LFQQuantizer(ModelConfig(quantizer="lfq", num_embeddings=8), 4)
    found = quantizer.rounded(torch.tensor([[0.1, -2.0, 3.0], [-1.0, -1.0, -1.0]]))

    assert found.indices.tolist() == [0b101, 0]
    assert found.values.tolist() == [[1, -1, 1], [-1, -1, -1]]


def all_codes(bits: int) -> Tensor:
    return 2.0 * (torch.arange(2**bits)[:, None] >> torch.arange(bits - 1, -1, -1) & 1) - 1


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_the_batch_s_code_distribution_is_the_softmax_over_all_codes(bits: int) -> None:
    x = 0.01 * normal(100, bits).double()
    logits = 2 * INVERSE_TEMPERATURE * x @ all_codes(bits).double().T
    found = mean_code_distribution(4 * INVERSE_TEMPERATURE * x)

    torch.testing.assert_close(found, logits.softmax(dim=1).mean(dim=0))


@pytest.mark.parametrize("bits", [1, 6])
def test_the_entropy_loss_is_that_of_the_softmax_over_all_codes(bits: int) -> None:
    x = (0.01 * normal(100, bits).double()).requires_grad_()
    each = (2 * INVERSE_TEMPERATURE * x @ all_codes(bits).double().T).softmax(dim=1)
    batch = each.mean(dim=0)
    expected = -(each * each.log()).sum(dim=1).mean() + (batch * batch.log()).sum()
    found = entropy_loss(x)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, x), torch.autograd.grad(expected, x))


def test_the_entropy_loss_is_least_where_tokens_are_decided_and_codes_used_evenly() -> None:
    assert entropy_loss(all_codes(6)).item() == pytest.approx(-6 * math.log(2))
    assert entropy_loss(torch.ones(64, 6)).item() == pytest.approx(0)
    assert entropy_loss(torch.zeros(64, 6)).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 1e4])
def test_the_entropy_loss_has_a_finite_gradient_everywhere(size: float) -> None:
    x = (size * normal(50, 9)).requires_grad_()
    entropy_loss(x).backward()

    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_lfq_trains_commitment_and_entropy_by_their_weights(weight: float) -> None:
    quantizer = LFQQuantizer(
        ModelConfig(
            quantizer="lfq", num_embeddings=64, commitment_cost=0.3, entropy_loss_weight=weight
        ),
        4,
    )
    x = normal(50, 6)
    found = quantizer.rounded(x)

    torch.testing.assert_close(
        found.loss, 0.3 * (x - x.sign()).square().mean() + weight * entropy_loss(x)
    )
