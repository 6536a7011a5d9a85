# pyright: basic
"""What latents mean: the autoencoder that made them, and how its numbers were normalised.

Small enough to travel in every checkpoint, so that a checkpoint samples and decodes on its own; of
`wan` only the place and the hash of its weights.
Axes: b clips, c channels, t y x latent positions, f frames, h w pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qdexp.data.autoencoder import Autoencoder
from qdexp.data.pca3d import Pca3d
from qdexp.data.wan import Wan


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSpace:
    """Normalised latents, as networks see them, and their pixels.

    Args:
        autoencoder: What makes latents of pixels, and back.
        mean: Each channel's mean over the training latents, before normalisation.
        deviation: Each channel's standard deviation over them.
    """

    autoencoder: Autoencoder
    mean: Float[Tensor, "c 1 1 1"]
    deviation: Float[Tensor, "c 1 1 1"]

    def decode(self, latents: Float[Tensor, "b c t y x"]) -> Float[Tensor, "b 3 f h w"]:
        """Returns the pixels of normalised latents; real clips are in 0..1, nothing is clipped."""
        deviation, mean = self.deviation.to(latents.device), self.mean.to(latents.device)
        return self.autoencoder.decode(latents.float() * deviation + mean)

    def to_plain(self) -> dict[str, Any]:
        """Returns containers, numbers, texts and tensors only."""
        return {
            "autoencoder": self.autoencoder.to_plain(),
            "mean": self.mean.flatten().tolist(),
            "deviation": self.deviation.flatten().tolist(),
        }

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> "LatentSpace":
        """Builds the space that `to_plain` described."""
        return LatentSpace(
            autoencoder=autoencoder_from_plain(plain["autoencoder"]),
            mean=per_channel(plain["mean"]),
            deviation=per_channel(plain["deviation"]),
        )


def autoencoder_from_plain(plain: dict[str, Any]) -> Autoencoder:
    """Builds the autoencoder that its own `to_plain` described."""
    kinds: dict[str, Any] = {"pca3d": Pca3d, "wan": Wan}
    return kinds[plain["kind"]].from_plain(plain)


def per_channel(values: Sequence[float]) -> Float[Tensor, "c 1 1 1"]:
    """Returns a number for each channel, to be broadcast over latents."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
