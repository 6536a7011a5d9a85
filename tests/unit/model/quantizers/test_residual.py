"""Several codes of a token: each for what the former left."""

import pytest
import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.quantization import Quantizer
from qdexp.model.quantizers.residual import ResidualQuantizer

K, D, TOKENS = 16, 4, 400
RESIDUAL = pytest.mark.parametrize("kind", ["ema", "gradient", "simvq"])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantizer(kind: str, codes_per_token: int, **fields: str | float) -> Quantizer:
    values = {"quantizer": kind, "num_embeddings": K, "codes_per_token": codes_per_token}
    made = build_quantizer(ModelConfig.model_validate(values | fields), D)
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            parameter.copy_(torch.eye(D) if kind == "simvq" else normal(K, D, seed=number))
    made.initialise(lambda number, shape: normal(*shape, seed=number) / 2**number, TOKENS / K)
    return made


@RESIDUAL
def test_codes_add_up_and_each_is_the_nearest_to_what_is_left(kind: str) -> None:
    vq, z = quantizer(kind, 3), normal(TOKENS, D)
    assert isinstance(vq, ResidualQuantizer)
    found, left, total = vq(z), z, torch.zeros_like(z)
    for number, layer in enumerate(vq.quantizers):
        alone = layer(left)
        assert torch.equal(found.indices[:, number], alone.indices[:, 0])
        assert torch.equal(found.statistics.counts[number], alone.statistics.counts[0])
        assert torch.equal(found.statistics.sums[number], alone.statistics.sums[0])
        left, total = left - alone.z_q, total + alone.z_q

    torch.testing.assert_close(found.z_q, total)


@RESIDUAL
@pytest.mark.parametrize("grid", [(400,), (5, 4, 4, 5)])
def test_tokens_keep_their_grid_and_get_all_codes(kind: str, grid: tuple[int, ...]) -> None:
    found = quantizer(kind, 3)(normal(TOKENS, D).reshape(*grid, D))

    assert found.indices.shape == (*grid, 3)
    assert found.statistics.counts.sum(dim=1).tolist() == [TOKENS] * 3


@pytest.mark.parametrize("estimate", ["straight_through", "rotation"])
def test_the_gradient_passes_once_and_not_once_for_each_code(estimate: str) -> None:
    z = normal(TOKENS, D).requires_grad_()
    found = quantizer("ema", 4, gradient_estimator=estimate)(z)
    # Whatever the estimate, it maps the token to its codes: grad . z is the function's own value.
    weights = normal(D, seed=3)
    gradient = torch.autograd.grad((found.z_q @ weights).sum(), z)[0]

    if estimate == "straight_through":
        assert torch.equal(gradient, weights.expand(TOKENS, D))
    else:
        torch.testing.assert_close(
            (gradient * z).sum(dim=1), found.z_q @ weights, rtol=1e-4, atol=1e-4
        )


def test_every_code_s_commitment_reaches_the_token() -> None:
    vq, z = quantizer("ema", 3, commitment_cost=1.0), normal(TOKENS, D).requires_grad_()
    assert isinstance(vq, ResidualQuantizer)
    left, expected = z.detach(), torch.zeros(TOKENS, D)
    for layer in vq.quantizers:
        left = left - layer(left).z_q
        expected += 2 * left / z.numel()

    torch.testing.assert_close(torch.autograd.grad(vq(z).vq_loss, z)[0], expected)


def test_the_error_falls_with_the_number_of_codes() -> None:
    z, order = normal(TOKENS, D), torch.randperm(TOKENS, generator=torch.Generator())
    errors: list[float] = []
    for codes_per_token in (1, 2, 3, 4):
        vq = quantizer("ema", codes_per_token)
        vq.cluster(z, order, TOKENS / K)
        errors.append((vq(z).z_q - z).square().mean().item())

    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.3 * errors[0]


def test_an_update_moves_every_codebook_by_its_own_statistics() -> None:
    together, apart = (quantizer("ema", 2, dead_code_threshold=0.5) for _ in range(2))
    assert isinstance(apart, ResidualQuantizer)
    z, order = normal(TOKENS, D), torch.arange(TOKENS)
    together.update(together(z).statistics, order)
    first, second = apart.quantizers
    seen = first(z)
    second.update(second(z - seen.z_q).statistics, order)
    first.update(seen.statistics, order)

    torch.testing.assert_close(together.state_dict(), apart.state_dict())


def test_all_codebooks_count_as_learned_numbers() -> None:
    assert quantizer("ema", 3).num_values == 3 * K * D
