"""How far samples are from real clips: a kernel distance on a few numbers of every clip.

The distance is the one of the Kernel Inception Distance, on linear features of the pixels instead
of a network's. It is unbiased: the number of samples changes its error, not its mean, and where
samples are as good as real clips it is as often below 0 as above.

The features see a clip's large movements and shapes, in colours. They are blind to what lies
outside the real clips' first principal components, such as noise of single pixels.
Axes: n clips, f frames, h rows, w columns, p pooled pixels, d features.
"""

# pyright: basic

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

POOL_SIDE = 4
"""Rows, and columns, of pixels that are averaged: a moving digit's strokes are about as wide."""

NUM_FEATURES = 32
"""They hold two thirds of the variance of moving digits. In units of the distance's own error, half
as many notice a clip that stands still a third less; twice as many hardly notice more of anything.
"""

LEAST_VARIANCE = 1e-12
"""A component with a smaller share of the first one's variance is rounding."""

_Pixels = Float[Tensor, "n 3 f h w"]
_Parts = Iterable[Float[Tensor, "_ 3 f h w"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelFeatures:
    """A clip's first principal components (`pixels-pca`), fitted to real clips.

    They are scaled by one number, so that a component's share of the variance is kept.

    Args:
        mean: The real clips' mean.
        directions: The principal directions, most variance first, each of length 1 / the number by
            which the components are divided.
    """

    mean: Float64[Tensor, " p"]
    directions: Float64[Tensor, "d p"]

    @classmethod
    def fit(cls, real: _Pixels | _Parts) -> "PixelFeatures":
        """Returns the features in which the real clips have a mean square of 1 per dimension.

        There are `NUM_FEATURES`, or as many as the clips vary in. Clips that samples are compared
        with must be others than these: here their mean is exactly 0 and their variance greater than
        that of new clips, which biases a distance to them.

        Args:
            real: Clips in 0..1, at once or in parts, which need less memory.

        Raises:
            ValueError: No two clips differ, or a side is no multiple of `POOL_SIDE`.
        """
        pooled = _pooled(real)
        mean = pooled.mean(dim=0)
        centred = pooled - mean
        # There are fewer clips than pixels: the smaller matrix has the same leading components.
        squares, vectors = torch.linalg.eigh(centred @ centred.T)
        is_kept = squares > max(LEAST_VARIANCE * squares[-1].item(), 0)
        squares, vectors = (each[..., is_kept][..., -NUM_FEATURES:] for each in (squares, vectors))
        if not len(squares):
            raise ValueError(f"real: expected clips that differ, found {len(pooled)} alike")
        deviation = math.sqrt(squares.mean().item() / len(pooled))
        directions = functional.normalize(vectors.T @ centred, dim=1).flip(0)
        return cls(mean=mean, directions=directions / deviation)

    def __call__(self, pixels: _Pixels | _Parts) -> Float64[Tensor, "n d"]:
        """Returns the features of clips in 0..1, given at once or in parts; they are not clipped.

        Raises:
            ValueError: A side is no multiple of `POOL_SIDE`.
        """
        return (_pooled(pixels) - self.mean) @ self.directions.T


def kernel_distance(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> float:
    """Returns the unbiased squared maximum mean discrepancy between two sets of features.

    With the kernel (x . y / d + 1)^3 (Binkowski et al., 2018, Demystifying MMD GANs, equation 4 and
    section 4). It can be below 0.

    Raises:
        ValueError: A set has less than two members.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"expected at least 2 clips in each set, found {len(x)} and {len(y)}")
    within = _mean_of_pairs(_kernel(x, x)) + _mean_of_pairs(_kernel(y, y))
    return (within - 2 * _kernel(x, y).mean()).item()


def _kernel(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> Float64[Tensor, "n m"]:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(kernel: Float64[Tensor, "n n"]) -> Float64[Tensor, ""]:
    """Returns the mean over pairs of different members."""
    count = len(kernel)
    return (kernel.sum() - kernel.trace()) / (count * (count - 1))


def _pooled(pixels: _Pixels | _Parts) -> Float64[Tensor, "n p"]:
    parts = [pixels] if isinstance(pixels, Tensor) else pixels
    return torch.cat([_pooled_part(part) for part in parts])


def _pooled_part(pixels: _Pixels) -> Float64[Tensor, "n p"]:
    height, width = pixels.shape[-2:]
    if height % POOL_SIDE or width % POOL_SIDE:
        raise ValueError(
            f"pixels: expected sides that are multiples of {POOL_SIDE}, found {height} x {width}"
        )
    return functional.avg_pool3d(pixels, (1, POOL_SIDE, POOL_SIDE)).flatten(1).double()
