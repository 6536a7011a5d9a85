"""Patches of a latent video as vectors, and back.

Axes: b clips, c channels, t frames, h rows, w columns of a latent, tt hh ww the token grid,
p values of a patch: channel by channel, then frame, row and column.
"""

import math

from jaxtyping import Float
from torch import Tensor

PatchSize = tuple[int, int, int]


def values_per_patch(channels: int, patch: PatchSize) -> int:
    """Returns how many latent values one token stands for."""
    return channels * math.prod(patch)


def patches_from_latents(
    latents: Float[Tensor, "b c t h w"], patch: PatchSize
) -> Float[Tensor, "b tt hh ww p"]:
    """Returns the patches, each in the order in which a Conv3D's kernel lists its weights."""
    b, c, t, h, w = latents.shape
    pt, ph, pw = patch
    split = latents.reshape(b, c, t // pt, pt, h // ph, ph, w // pw, pw)
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def latents_from_patches(
    patches: Float[Tensor, "b tt hh ww p"], patch: PatchSize
) -> Float[Tensor, "b c t h w"]:
    """Returns the latents that these patches tile."""
    b, tt, hh, ww, _ = patches.shape
    pt, ph, pw = patch
    split = patches.reshape(b, tt, hh, ww, -1, pt, ph, pw).permute(0, 4, 1, 5, 2, 6, 3, 7)
    # Contiguous, and so no view where the patches are single values: FSDP2 warns of views.
    return split.reshape(b, -1, tt * pt, hh * ph, ww * pw).contiguous()
