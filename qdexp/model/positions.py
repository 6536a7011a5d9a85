"""Rotary positions along frame, row and column (RoPE; Su et al., 2021), in real arithmetic.

The pairs of a head's dimensions are dealt out to the three axes, and each pair turns by its axis's
position times a frequency of its own: a product of two turned vectors knows their offset only.
Axes: b clips, tt hh ww the token grid, e width of a head, p pairs of its dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LOWEST_FREQUENCY = 1 / 10_000
"""Radians a token that the slowest pairs approach; the fastest turn by 1 (equation 15)."""


def pairs_of_axes(head_dim: int) -> tuple[int, int, int]:
    """Returns the pairs for frame, row and column; a remainder belongs to the frame."""
    pairs = head_dim // 2
    return pairs - 2 * (pairs // 3), pairs // 3, pairs // 3


def rotations(
    grid: tuple[int, int, int], head_dim: int, *, like: Tensor
) -> Float[Tensor, "2 tt hh ww p"]:
    """Returns the cosines and sines of every pair's angle at every place of a grid.

    Args:
        grid: Frames, rows and columns in tokens.
        head_dim: Dimensions of a head.
        like: Of its device, and of its type if that is wide enough for an angle.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    angles: list[Tensor] = []
    for axis, (size, pairs) in enumerate(zip(grid, pairs_of_axes(head_dim), strict=True)):
        exponents = torch.arange(pairs, device=like.device, dtype=dtype) / pairs
        places = torch.arange(size, device=like.device, dtype=dtype)
        turned = places[:, None] * LOWEST_FREQUENCY**exponents
        shape = [1, 1, 1, pairs]
        shape[axis] = size
        angles.append(turned.reshape(shape).expand(*grid, pairs))
    joined = torch.cat(angles, dim=-1)
    return torch.stack([joined.cos(), joined.sin()])


def rotate(
    x: Float[Tensor, "b tt hh ww heads e"], rotation: Float[Tensor, "2 tt hh ww p"]
) -> Float[Tensor, "b tt hh ww heads e"]:
    """Returns `x` with its pairs (j, j + p) turned; the odd dimension of a head stays."""
    cosine, sine = rotation[:, :, :, :, None]
    pairs = cosine.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    turned = (first * cosine - second * sine, first * sine + second * cosine, rest)
    return torch.cat([part.to(x.dtype) for part in turned], dim=-1)
