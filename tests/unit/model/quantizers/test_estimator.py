"""How the gradient passes the choice of a code, in closed form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qdexp.model.quantizers.estimator import Estimator, rotation, straight_through


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(estimate: Estimator, token: Tensor, code: Tensor) -> Tensor:
    def passed(x: Tensor) -> Tensor:
        return estimate(x[None], code[None])[0]

    found = torch.autograd.functional.jacobian(passed, token)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("estimate", [straight_through, rotation])
def test_the_value_is_the_code_exactly(estimate: Estimator) -> None:
    tokens, codes = normal(50, 8).float(), 1e3 * normal(50, 8, seed=1).float()

    assert torch.equal(estimate(tokens, codes), codes)


@pytest.mark.parametrize("estimate", [straight_through, rotation])
def test_no_gradient_reaches_the_code(estimate: Estimator) -> None:
    codes = normal(5, 3, seed=1).requires_grad_()

    assert not torch.autograd.grad(
        estimate(normal(5, 3).requires_grad_(), codes).sum(), codes, allow_unused=True
    )[0]


def test_straight_through_passes_the_gradient_unchanged() -> None:
    assert torch.equal(
        jacobian(straight_through, normal(6), normal(6, seed=1)), torch.eye(6).double()
    )


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 8), st.integers(0, 2**31))
def test_the_rotation_turns_and_scales_the_token_into_its_code(dim: int, seed: int) -> None:
    token, code = normal(dim, seed=seed), normal(dim, seed=seed + 1)
    turned = jacobian(rotation, token, code) * (token.norm() / code.norm())
    identity = torch.eye(dim).double()

    torch.testing.assert_close(turned @ turned.T, identity)
    torch.testing.assert_close(torch.linalg.det(turned), torch.tensor(1.0).double())
    torch.testing.assert_close(turned @ token / token.norm(), code / code.norm())


def test_the_rotation_leaves_what_is_orthogonal_to_token_and_code() -> None:
    token, code = normal(5), normal(5, seed=1)
    plane = torch.linalg.qr(torch.stack([token, code], dim=1)).Q
    other = normal(5, seed=2)
    other = other - plane @ (plane.T @ other)
    scale = code.norm() / token.norm()

    torch.testing.assert_close(jacobian(rotation, token, code) @ other, scale * other)


def test_the_rotation_of_nothing_and_to_the_opposite_is_finite() -> None:
    tokens = torch.stack([torch.zeros(3), torch.ones(3)]).requires_grad_()
    found = rotation(tokens, torch.stack([torch.ones(3), -torch.ones(3)]))
    found.sum().backward()

    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()
