# pyright: basic
"""The `wan` autoencoder: diffusers' AutoencoderKLWan, with weights from a local folder.

Its weights are hundreds of megabytes, so what it says of itself is where they are and what their
hash is (docs/decisions/0012). They are loaded when they are first needed.
Axes as in `autoencoder`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qdexp.data.autoencoder import FRAMES_PER_LATENT, PIXELS_PER_LATENT, check_clip_shape
from qdexp.data.fingerprint import weights_sha256
from qdexp.data.hash_index import HashIndex
from qdexp.errors import DataError

NUM_CHANNELS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Wan:
    """An `Autoencoder` with 16 channels.

    Args:
        folder: The folder of config.json and the weights.
        sha256: The hash that they must have.
    """

    folder: Path
    sha256: str

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> "Wan":
        """Builds the autoencoder that `to_plain` described."""
        return Wan(folder=Path(plain["folder"]), sha256=plain["sha256"])

    def to_plain(self) -> dict[str, Any]:
        """Returns where the weights are, and their hash."""
        return {"kind": "wan", "folder": str(self.folder.absolute()), "sha256": self.sha256}

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b 16 t y x"]:
        """Returns the modes of the posteriors of pixels in 0..1, clip by clip.

        Raises:
            DataError: The frames are not 1 + 4k, or the pixels no multiple of 8; or the weights
                are not there, or are others.
        """
        check_clip_shape(pixels.shape)
        network = self._on(pixels.device)
        modes = [
            network.encode(clip * 2 - 1).latent_dist.mode() for clip in pixels.float().split(1)
        ]
        return torch.cat(modes)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "b 16 t y x"]) -> Float[Tensor, "b 3 f h w"]:
        """Returns the pixels; the network itself keeps them in 0..1.

        Raises:
            DataError: The weights are not there, or are others.
        """
        network = self._on(latents.device)
        decoded = [network.decode(clip).sample for clip in latents.float().split(1)]
        return (torch.cat(decoded) + 1) / 2

    def _on(self, device: torch.device) -> Any:  # noqa: ANN401 - diffusers is an extra
        return self._network.to(device)

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401 - diffusers is an extra
        found = weights_sha256(self.folder, HashIndex())
        if found != self.sha256:
            raise DataError(
                f"{self.folder}: expected AutoencoderKLWan's weights with SHA-256 {self.sha256}, "
                f"found {found}: put those back, or encode the videos again"
            )
        network = _autoencoder_class().from_pretrained(
            str(self.folder), torch_dtype=torch.float32, local_files_only=True,
            use_safetensors=True, low_cpu_mem_usage=False,
        )  # fmt: skip
        config = network.config
        shape = (config.z_dim, config.scale_factor_temporal, config.scale_factor_spatial)
        expected = (NUM_CHANNELS, FRAMES_PER_LATENT, PIXELS_PER_LATENT)
        if shape != expected:
            raise DataError(
                f"{self.folder}: expected an AutoencoderKLWan with (channels, frames, pixels per "
                f"latent) of {expected}, as Wan 2.1 has, found {shape}"
            )
        return network.eval().requires_grad_(False)


def _autoencoder_class() -> Any:  # noqa: ANN401 - diffusers is an extra
    try:
        from diffusers.models.autoencoders.autoencoder_kl_wan import (  # noqa: PLC0415 - an extra
            AutoencoderKLWan,
        )
    except ImportError as error:
        raise DataError(
            "data.autoencoder: expected diffusers for wan, found none: "
            "pip install 'qdexp[wan]', or take pca3d"
        ) from error
    return AutoencoderKLWan
