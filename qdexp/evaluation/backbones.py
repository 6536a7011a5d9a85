"""What makes features of clips, so that sets of clips have a distance: three, with one face.

Axes: n clips, f frames, h rows, w columns, d features.
"""

# pyright: basic

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qdexp.config.sample_metrics import I3D_SHA256
from qdexp.config.sections import EvaluationConfig
from qdexp.errors import ConfigurationError
from qdexp.evaluation.kernel_distance import PixelFeatures
from qdexp.evaluation.torchscript_file import open_network

Clips = Float[Tensor, "_ 3 *size"]
"""Clips (n, 3, f, h, w), or images without f."""

Features = Callable[[Iterable[Clips]], Float64[Tensor, "n d"]]
"""From clips in 0..1, in parts, to their features."""


@runtime_checkable
class Backbone(Protocol):
    """What makes features of clips."""

    @property
    def is_fitted(self) -> bool:
        """Tells whether the features depend on the real clips that they are fitted to."""
        ...

    def fitted(self, real: Iterable[Clips]) -> Features:
        """Returns the features, fitted to real clips in 0..1 if they need that."""
        ...


class PixelsPca:
    """`pixels-pca`: principal components of pooled pixels; it needs no weights."""

    is_fitted = True

    def fitted(self, real: Iterable[Clips]) -> Features:
        """Returns the principal components of real clips."""
        return PixelFeatures.fit(real)


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkFeatures:
    """The features of a network that sees pixels as whole numbers in 0..255, as in a video file.

    Args:
        field: The configuration field that names the network, for messages.
        network: From clips (n, 3, f, h, w) to (n, d).
        options: What it is told besides.
        device: Where it is.
    """

    field: str
    network: Callable[..., Any]
    options: dict[str, Any]
    device: torch.device

    is_fitted = False

    def fitted(self, real: Iterable[Clips]) -> Features:
        """Returns the network's features; `real` is not looked at."""
        del real
        return self

    @torch.no_grad()
    def __call__(self, clips: Iterable[Clips]) -> Float64[Tensor, "n d"]:
        """Returns the features of clips.

        Raises:
            ConfigurationError: The network does not take such clips, or makes no features of them.
        """
        return torch.cat([self._of_part(part) for part in clips])

    def _of_part(self, clips: Clips) -> Float64[Tensor, "n d"]:
        shape = tuple(clips.shape)
        try:
            found = self.network(as_bytes(clips).to(self.device), **self.options)
        except RuntimeError as error:
            raise ConfigurationError(
                f"{self.field}: expected a network that takes clips of shape {shape}"
                f"{_told(self.options)}, found one that fails: {_last_line(error)}"
            ) from None
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(clips):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ConfigurationError(
                f"{self.field}: expected numbers of shape ({len(clips)}, d) for clips of shape "
                f"{shape}, found {what}"
            )
        return found.double().cpu()


def as_bytes(clips: Clips) -> Clips:
    """Returns clips in 0..1 as a video file would have them: whole numbers in 0..255."""
    return (clips.float().clamp(0, 1) * 255).round()


def open_backbone(config: EvaluationConfig, device: torch.device) -> Backbone:
    """Returns the backbone of a configuration, whose file is given if it needs one.

    Raises:
        ConfigurationError: The file is not there, or another one.
    """
    if config.backbone == "pixels-pca":
        return PixelsPca()
    assert config.backbone_path is not None
    sha256 = config.backbone_sha256 or I3D_SHA256
    field = "evaluation.backbone"
    network = open_network(field, Path(config.backbone_path), sha256, device)
    # Without these it takes pixels in -1..1 of its own size, and returns the same features.
    i3d = {"rescale": True, "resize": True, "return_features": True}
    options = i3d if config.backbone == "i3d" else {}
    return NetworkFeatures(field=field, network=network, options=options, device=device)


def _told(options: dict[str, Any]) -> str:
    """Returns ``, rescale=True``."""
    return "".join(f", {name}={value}" for name, value in options.items())


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
