"""What turns pixels into latents and back, whichever autoencoder it is.

Axes: b clips, f frames = 1 + 4k, h and w pixels; t = 1 + k, y = h / 8, x = w / 8 latent positions.
"""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from qdexp.errors import DataError

FRAMES_PER_LATENT = 4
PIXELS_PER_LATENT = 8


@runtime_checkable
class Autoencoder(Protocol):
    """Pixels in 0..1 to latents and back; the first frame stands alone, four share a latent."""

    def encode(self, pixels: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b c t y x"]:
        """Returns the latents.

        Raises:
            DataError: The frames are not 1 + 4k, or the pixels no multiple of 8.
        """
        ...

    def decode(self, latents: Float[Tensor, "b c t y x"]) -> Float[Tensor, "b 3 f h w"]:
        """Returns the pixels, not clipped to 0..1."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Returns all that encoding and decoding need, as texts, numbers and tensors.

        Where that would be too much for every checkpoint, it says where it is, and its hash. Under
        `kind` it has the autoencoder's name.
        """
        ...


def check_clip_shape(shape: tuple[int, ...]) -> None:
    """Accepts the shape (..., f, h, w) of clips that latents can hold entirely.

    Raises:
        DataError: The frames are not 1 + 4k, or the pixels no multiple of 8.
    """
    frames, height, width = shape[-3:]
    if frames % FRAMES_PER_LATENT != 1:
        below = frames - (frames - 1) % FRAMES_PER_LATENT
        nearest = [str(count) for count in (below, below + FRAMES_PER_LATENT) if count > 0]
        raise DataError(
            f"expected clips of 1 + 4k frames, found {frames}; take {' or '.join(nearest)}"
        )
    if height % PIXELS_PER_LATENT or width % PIXELS_PER_LATENT:
        raise DataError(
            f"expected a height and width that are multiples of {PIXELS_PER_LATENT}, "
            f"found {height} x {width}; crop or resize the clips"
        )
