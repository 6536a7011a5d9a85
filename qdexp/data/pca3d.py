# pyright: basic
"""The `pca3d` autoencoder: 16 whitened principal components of space-time patches.

The first frame has components of its own (1 x 8 x 8 patches); the others share those of 4 x 8 x 8
patches. Nothing is trained: it is fitted in under a second, and decoding is the linear inverse.
Axes as in `autoencoder`; n patches of d pixel values.
"""

import math
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from qdexp.data.autoencoder import FRAMES_PER_LATENT, PIXELS_PER_LATENT, check_clip_shape

NUM_COMPONENTS = 16
MOST_PATCHES = 8192
"""Patches of each kind that a fit looks at."""

_LEAST_DEVIATION = 1 / 255
"""A component that varies by less than one grey level is not amplified beyond it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchComponents:
    """Whitened principal components of one kind of patch.

    Args:
        mean: The mean patch, pixels in 0..1.
        directions: Orthonormal; in each, the entry of greatest magnitude is positive.
        deviation: Standard deviation of the patches along each direction, descending.
    """

    mean: Float[Tensor, " d"]
    directions: Float[Tensor, "c d"]
    deviation: Float[Tensor, " c"]

    @staticmethod
    def fit(patches: UInt8[Tensor, "n d"]) -> "PatchComponents":
        """Fits the components to patches of pixels in 0..255.

        The sums are over integers below 2^53, so exact in float64 in any order: the covariance is
        the same on every machine and for every number of threads.
        """
        values = patches.double()
        num, total = len(values), values.sum(0)
        covariance = (num * (values.T @ values) - torch.outer(total, total)) / (num * 255) ** 2
        variances, vectors = torch.linalg.eigh(covariance)
        directions = vectors.flip(1).T[:NUM_COMPONENTS]
        extremes = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        deviation = variances.flip(0)[:NUM_COMPONENTS].clamp(min=0).sqrt()
        return PatchComponents(
            mean=(total / (num * 255)).float(),
            directions=(directions * extremes.sign()).float().contiguous(),
            deviation=deviation.clamp(min=_LEAST_DEVIATION).float(),
        )

    def encode(self, patches: Float[Tensor, "*b d"]) -> Float[Tensor, "*b c"]:
        """Returns the whitened components of patches of pixels in 0..1."""
        part = self.to(patches.device)
        return (patches - part.mean) @ part.directions.T / part.deviation

    def decode(self, components: Float[Tensor, "*b c"]) -> Float[Tensor, "*b d"]:
        """Returns the patches that have these components and the mean's value in all others."""
        part = self.to(components.device)
        return (components * part.deviation) @ part.directions + part.mean

    def to(self, device: torch.device) -> "PatchComponents":
        """Returns the same components on a device."""
        return PatchComponents(
            mean=self.mean.to(device),
            directions=self.directions.to(device),
            deviation=self.deviation.to(device),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pca3d:
    """An `Autoencoder` with 16 channels.

    Args:
        first: The components of first frames, d = 3 x 1 x 8 x 8.
        others: The components of all other frames, d = 3 x 4 x 8 x 8.
    """

    first: PatchComponents
    others: PatchComponents

    @staticmethod
    def fit(frames: UInt8[Tensor, "b 3 f h w"]) -> "Pca3d":
        """Fits both kinds of components to clips of pixels in 0..255.

        Raises:
            DataError: The frames are not 1 + 4k, or the pixels no multiple of 8.
        """
        check_clip_shape(frames.shape)
        first, others = frames[:, :, :1], frames[:, :, 1:]
        if not others.shape[2]:  # a still image is a clip that does not move
            others = first.expand(-1, -1, FRAMES_PER_LATENT, -1, -1)
        return Pca3d(
            first=PatchComponents.fit(_spread_sample(_patches(first, depth=1))),
            others=PatchComponents.fit(_spread_sample(_patches(others, depth=FRAMES_PER_LATENT))),
        )

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> "Pca3d":
        """Builds the autoencoder that `to_plain` described."""
        tensors = plain["tensors"]
        first, others = (
            PatchComponents(
                mean=tensors[f"{part}.mean"],
                directions=tensors[f"{part}.directions"],
                deviation=tensors[f"{part}.deviation"],
            )
            for part in ("first", "others")
        )
        return Pca3d(first=first, others=others)

    def to_plain(self) -> dict[str, Any]:
        """Returns the components as tensors by name."""
        parts = {"first": self.first, "others": self.others}
        tensors = {
            f"{name}.{field}": getattr(part, field)
            for name, part in parts.items()
            for field in ("mean", "directions", "deviation")
        }
        return {"kind": "pca3d", "tensors": tensors}

    def encode(self, pixels: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b 16 t y x"]:
        """Returns the latents of pixels in 0..1.

        Raises:
            DataError: The frames are not 1 + 4k, or the pixels no multiple of 8.
        """
        check_clip_shape(pixels.shape)
        first = self.first.encode(_patches(pixels[:, :, :1], depth=1))
        others = self.others.encode(_patches(pixels[:, :, 1:], depth=FRAMES_PER_LATENT))
        return torch.cat([first, others], dim=1).movedim(-1, 1).contiguous()

    def decode(self, latents: Float[Tensor, "b 16 t y x"]) -> Float[Tensor, "b 3 f h w"]:
        """Returns the pixels, not clipped to 0..1."""
        components = latents.movedim(1, -1)
        first = _pixels(self.first.decode(components[:, :1]), depth=1)
        others = _pixels(self.others.decode(components[:, 1:]), depth=FRAMES_PER_LATENT)
        return torch.cat([first, others], dim=2)


def _patches(pixels: Tensor, *, depth: int) -> Tensor:
    """Cuts pixels (b, 3, f, h, w) into patches (b, f / depth, h / 8, w / 8, 3 * depth * 64)."""
    b, colours, frames, height, width = pixels.shape
    side = PIXELS_PER_LATENT
    t, y, x = frames // depth, height // side, width // side
    cut = pixels.reshape(b, colours, t, depth, y, side, x, side)
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, t, y, x, colours * depth * side * side)


def _pixels(patches: Tensor, *, depth: int) -> Tensor:
    """Joins what `_patches` cut."""
    b, t, y, x, _ = patches.shape
    side = PIXELS_PER_LATENT
    cut = patches.reshape(b, t, y, x, 3, depth, side, side)
    return cut.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(b, 3, t * depth, y * side, x * side)


def _spread_sample(patches: UInt8[Tensor, "b t y x d"]) -> UInt8[Tensor, "n d"]:
    """Returns at most `MOST_PATCHES` patches, spread over all clips and positions.

    The stride shares no factor with the patches of a clip, so that it visits every position.
    """
    per_clip = math.prod(patches.shape[1:4])
    flat = patches.flatten(0, 3)
    least = -(-len(flat) // MOST_PATCHES)
    stride = next(step for step in count(least) if math.gcd(step, per_clip) == 1)
    return flat[::stride]
