"""What holds for quantizers of all kinds: one interface, a pure forward pass, exact gradients."""

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qdexp.config.configuration import Configuration
from qdexp.config.model_config import ModelConfig
from qdexp.experiment.identity import effective
from qdexp.model.quantizers.build import KINDS, build_quantizer
from qdexp.model.quantizers.quantization import Quantizer

K, D, TOKENS = 16, 4, 40
ALL = [*KINDS, "none"]
NEAREST = ["ema", "gradient", "simvq"]
"""Kinds whose tokens become the nearest row of a codebook."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantizer(kind: str, **fields: str | float) -> Quantizer:
    values = {"quantizer": kind, "num_embeddings": K, "dead_code_threshold": 0.5} | fields
    made = build_quantizer(ModelConfig.model_validate(values), D)
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=number))
    made.initialise(lambda number, shape: normal(*shape, seed=100 + number), TOKENS / K)
    return made


def state(of: Quantizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.state_dict().items()}


def is_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("kind", ALL)
def test_tokens_keep_their_grid_and_get_a_code_each(kind: str) -> None:
    found = quantizer(kind)(normal(2, 3, 2, 2, D))
    codes = 0 if kind == "none" else 1

    assert found.z_q.shape == (2, 3, 2, 2, D)
    assert found.indices.shape == (2, 3, 2, 2, codes)
    assert found.statistics.counts.shape == (codes, K)
    assert found.statistics.counts.sum() == codes * 24
    assert found.statistics.tokens.shape[:2] == (codes, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_the_indices(kind: str) -> None:
    found = quantizer(kind)(normal(TOKENS, D))

    assert torch.equal(
        found.statistics.counts[0], found.indices[:, 0].bincount(minlength=K).float()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_one_code_leave_as_one_vector(kind: str) -> None:
    found = quantizer(kind)(normal(500, D))
    first = torch.stack([(found.indices[:, 0] == code).int().argmax() for code in range(K)])

    assert torch.equal(found.z_q, found.z_q[first][found.indices[:, 0]])
    assert len(found.z_q.unique(dim=0)) == len(found.indices.unique())


def test_without_a_quantizer_tokens_stay_what_they_are() -> None:
    z = normal(TOKENS, D)
    found = quantizer("none")(z)

    assert torch.equal(found.z_q, z)
    assert found.vq_loss == 0


@pytest.mark.parametrize("kind", NEAREST)
def test_tokens_become_the_nearest_code(kind: str) -> None:
    z = normal(TOKENS, D)
    found, every = quantizer(kind)(z), quantizer(kind)(3 * normal(5000, D)).z_q.unique(dim=0)

    assert len(every) == K
    torch.testing.assert_close(
        (z - found.z_q).norm(dim=1), torch.cdist(z, every).amin(dim=1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", NEAREST)
def test_the_commitment_gradient_has_its_closed_form(kind: str) -> None:
    vq, z = quantizer(kind, commitment_cost=0.3), normal(TOKENS, D).requires_grad_()
    found = vq(z)
    found.vq_loss.backward()

    assert z.grad is not None
    torch.testing.assert_close(z.grad, 2 * 0.3 * (z - found.z_q).detach() / z.numel())
    torch.testing.assert_close(found.commitment_loss, (z - found.z_q).square().mean().detach())


@pytest.mark.parametrize("beta", [0.0, 0.25])
def test_the_codebook_gradient_has_its_closed_form_whatever_the_commitment(beta: float) -> None:
    vq, z = quantizer("gradient", commitment_cost=beta), normal(TOKENS, D)
    found = vq(z)
    found.vq_loss.backward()
    pulls = torch.zeros(K, D).index_add_(0, found.indices[:, 0], (found.z_q - z).detach())
    codebook = vq.get_parameter("codebook")

    assert codebook.grad is not None
    torch.testing.assert_close(codebook.grad, 2 * pulls / z.numel())
    torch.testing.assert_close(found.codebook_loss, (z - found.z_q).square().mean().detach())
    torch.testing.assert_close(
        found.vq_loss.detach(), beta * found.commitment_loss + found.codebook_loss
    )


def test_simvq_s_gradient_moves_every_code() -> None:
    vq = quantizer("simvq")
    before = vq.get_parameter("transform.weight") @ vq.get_buffer("frozen_codebook").T
    vq(normal(1, D)).vq_loss.backward()
    torch.optim.SGD(vq.parameters(), lr=0.1).step()
    after = vq.get_parameter("transform.weight") @ vq.get_buffer("frozen_codebook").T

    assert (before != after).any(dim=0).all()


@pytest.mark.parametrize("kind", [*NEAREST, "none"])
def test_the_gradient_of_the_output_passes_straight_through(kind: str) -> None:
    z, weights = normal(TOKENS, D).requires_grad_(), normal(TOKENS, D, seed=2)
    (quantizer(kind)(z).z_q * weights).sum().backward()

    assert z.grad is not None
    assert torch.equal(z.grad, weights)


@pytest.mark.parametrize("kind", ["fsq", "lfq"])
def test_at_the_output_projections_learn_to_reconstruct_the_tokens(kind: str) -> None:
    """Nothing follows there that could teach them."""
    vq = quantizer(kind, quantizer_placement="output", entropy_loss_weight=0.0)
    z = normal(200, 1, seed=3) @ normal(1, D, seed=4)
    optimizer = torch.optim.Adam(vq.parameters(), lr=0.03)
    errors: list[float] = []
    for _ in range(200):
        found = vq(z)
        errors.append((found.z_q - z).square().mean().item())
        optimizer.zero_grad()
        found.vq_loss.backward()
        optimizer.step()

    assert errors[-1] < 0.5 * z.square().mean() < errors[0]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("mode", ["train", "eval", "no_grad", "recomputed"])
def test_forward_changes_nothing(kind: str, mode: str) -> None:
    vq, z = quantizer(kind).train(mode != "eval"), normal(TOKENS, D).requires_grad_()
    before = state(vq)
    if mode == "recomputed":
        checkpoint(lambda x: vq(x).z_q, z, use_reentrant=False).sum().backward()
    else:
        with torch.set_grad_enabled(mode != "no_grad"):
            vq(z)

    assert is_equal(state(vq), before)


@pytest.mark.parametrize("kind", ALL)
def test_recomputed_gradients_are_the_gradients(kind: str) -> None:
    vq, z = quantizer(kind), normal(TOKENS, D).requires_grad_()
    kept = torch.autograd.grad(vq(z).z_q.square().sum(), z)[0]
    again = checkpoint(lambda x: vq(x).z_q, z, use_reentrant=False).square().sum()

    assert torch.equal(torch.autograd.grad(again, z)[0], kept)


@pytest.mark.parametrize("kind", ALL)
def test_one_update_with_the_micro_batches_statistics_is_that_of_the_batch(kind: str) -> None:
    whole, parts = quantizer(kind), quantizer(kind)
    tokens, order = normal(TOKENS, D), torch.arange(TOKENS).flip(0)
    added = [parts(part).statistics for part in tokens.split(10)]
    whole.update(whole(tokens).statistics, order)
    parts.update(added[0] + added[1] + added[2] + added[3], order)

    torch.testing.assert_close(state(parts), state(whole))
    assert is_equal(state(whole), state(quantizer(kind))) == (kind not in ("ema", "cosine"))


@pytest.mark.parametrize("kind", ALL)
def test_autocast_changes_no_code_and_no_loss(kind: str) -> None:
    vq, z = quantizer(kind), normal(TOKENS, D).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = vq(z)
    wide = vq(z.float())

    assert narrow.z_q.dtype == torch.bfloat16
    assert torch.equal(narrow.indices, wide.indices)
    assert torch.equal(narrow.vq_loss, wide.vq_loss)
    assert torch.equal(narrow.statistics.sums, wide.statistics.sums)


@pytest.mark.parametrize("kind", ALL)
def test_float64_tokens_are_quantized_in_float64(kind: str) -> None:
    vq, z = quantizer(kind).double(), normal(TOKENS, D).double()
    found = vq(z)
    vq.update(found.statistics, torch.arange(TOKENS))

    assert found.z_q.dtype == found.vq_loss.dtype == found.statistics.sums.dtype == torch.float64
    torch.testing.assert_close(found.z_q, quantizer(kind)(z.float()).z_q.double())


@pytest.mark.parametrize("kind", ALL)
def test_a_state_goes_on_in_another_quantizer(kind: str) -> None:
    used, fresh, tokens = quantizer(kind), quantizer(kind), normal(TOKENS, D)
    used.update(used(tokens).statistics, torch.arange(TOKENS))
    fresh.load_state_dict(used.state_dict())

    assert torch.equal(fresh(tokens).z_q, used(tokens).z_q)


@pytest.mark.parametrize("kind", ["ema", "cosine", "gradient", "simvq"])
def test_a_smaller_codebook_is_the_beginning_of_a_larger_one(kind: str) -> None:
    rows = normal(K, D)
    small, large = (quantizer(kind, num_embeddings=codes) for codes in (4, K))
    for vq in (small, large):
        vq.initialise(lambda _, shape: rows[: shape[0]], 1.0)
    name = "frozen_codebook" if kind == "simvq" else "codebook"

    assert torch.equal(small.state_dict()[name], large.state_dict()[name][:4])


@pytest.mark.parametrize("kind", ALL)
def test_learned_numbers_are_counted_once(kind: str) -> None:
    """As parameters, or as a codebook of moving averages; frozen codes are not learned."""
    assert quantizer(kind).num_values == (K * D if kind in ("ema", "cosine") else 0)


@pytest.mark.parametrize("kind", ALL)
def test_a_token_that_is_not_finite_leaves_a_trace(kind: str) -> None:
    z = normal(TOKENS, D)
    z[3, 1] = torch.nan

    assert not quantizer(kind)(z).z_q.isfinite().all() or kind == "lfq"


OTHER_VALUES: dict[str, str | float] = {
    "commitment_cost": 0.9,
    "dead_code_threshold": 0.0,
    "ema_decay": 0.3,
    "entropy_loss_weight": 0.9,
    "gradient_estimator": "rotation",
}


def numbers_of_a_step(kind: str, **fields: str | float) -> list[Tensor]:
    """Returns all that a step with this quantizer gives: outputs, gradients, the next state."""
    made = quantizer(kind, **fields)
    z = normal(TOKENS, D).requires_grad_()
    found = made(z)
    inputs = [z, *made.parameters()]
    loss = (found.z_q * normal(TOKENS, D, seed=5)).sum() + found.vq_loss
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    made.update(found.statistics, torch.arange(TOKENS))
    return [
        found.z_q,
        found.vq_loss,
        *(g for g in gradients if g is not None),
        *state(made).values(),
    ]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("field", OTHER_VALUES)
def test_a_field_changes_numbers_where_identity_says_that_it_is_read(kind: str, field: str) -> None:
    one = numbers_of_a_step(kind)
    other = numbers_of_a_step(kind, **{field: OTHER_VALUES[field]})
    is_same = all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    fields = [
        Configuration().replace({"model.quantizer": kind} | change).fields()
        for change in ({}, {f"model.{field}": OTHER_VALUES[field]})
    ]
    assert is_same == (effective(fields[0]) == effective(fields[1]))
