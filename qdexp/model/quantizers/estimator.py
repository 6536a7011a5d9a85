"""How the gradient passes the choice of a code, which has none of its own.

Either way the value is the code exactly: a sum of token and difference would round.

Axes: n tokens, d dimensions.
"""

# pyright: basic

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Estimator = Callable[[Float[Tensor, "n d"], Float[Tensor, "n d"]], Float[Tensor, "n d"]]

LEAST_NORM = 1e-6
"""Shorter vectors are divided by this instead of their length."""


def straight_through(
    tokens: Float[Tensor, "n d"], codes: Float[Tensor, "n d"]
) -> Float[Tensor, "n d"]:
    """Returns the codes; their gradient is the tokens' (van den Oord et al., 2017, 3.2)."""
    return codes.detach() + (tokens - tokens.detach())


def rotation(tokens: Float[Tensor, "n d"], codes: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Returns the codes; their gradient is turned and scaled as the token is to become its code.

    Fifty et al., 2024, section 4.2: with e^ and q^ of unit length and r = (e^ + q^) / |e^ + q^|,
    q = |q|/|e| (I - 2 r r^T + 2 q^ e^^T) e, in which all but the last e is a constant.
    """
    e, q = tokens.detach(), codes.detach()
    e_norm, q_norm = e.norm(dim=1, keepdim=True), q.norm(dim=1, keepdim=True)
    e_unit, q_unit = e / e_norm.clamp(min=LEAST_NORM), q / q_norm.clamp(min=LEAST_NORM)
    r = functional.normalize(e_unit + q_unit, dim=1, eps=LEAST_NORM)
    reflected = tokens - 2 * (tokens * r).sum(dim=1, keepdim=True) * r
    rotated = reflected + 2 * (tokens * e_unit).sum(dim=1, keepdim=True) * q_unit
    carrier = rotated * (q_norm / e_norm.clamp(min=LEAST_NORM))
    return q + (carrier - carrier.detach())


def estimator(name: Literal["straight_through", "rotation"]) -> Estimator:
    """Returns the configured way."""
    return rotation if name == "rotation" else straight_through
