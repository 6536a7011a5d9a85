# pyright: basic
"""From a decoded frame to upright pixels of the configured size."""

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Interpolation
from jaxtyping import UInt8

from qdexp.config.data_config import DataConfig

_RESIZING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)
"""The same bytes on every processor; shrinking averages over what it leaves out."""


def fitted(
    frame: VideoFrame, config: DataConfig, *, pixel_aspect: float = 1.0
) -> UInt8[np.ndarray, "3 h w"]:
    """Returns a frame as a player shows it, cropped or letterboxed to the configured size.

    A player turns phone videos upright and stretches pixels that are not square.

    Args:
        frame: A decoded frame of any size and format.
        config: The size, and whether to crop.
        pixel_aspect: The width of a pixel over its height.
    """
    turns = round(frame.rotation / 90) % 4  # quarters counterclockwise
    height, width = config.height, config.width
    if turns % 2:
        height, width = width, height
    shown_width = frame.width * pixel_aspect
    choose = max if config.fit == "crop" else min
    scale = choose(height / frame.height, width / shown_width)
    resized = frame.reformat(
        width=_size(shown_width * scale, width, config),
        height=_size(frame.height * scale, height, config),
        format="rgb24",
        dst_color_range=ColorRange.JPEG,
        interpolation=int(_RESIZING),
        threads=1,
    )
    pixels = np.rot90(resized.to_ndarray(), turns)
    return np.ascontiguousarray(_centred(pixels, config.height, config.width).transpose(2, 0, 1))


def _size(wanted: float, limit: int, config: DataConfig) -> int:
    """Returns a side in whole pixels: never short of what a crop needs, nor over a letterbox."""
    if config.fit == "crop":
        return max(limit, round(wanted))
    return max(1, min(limit, round(wanted)))


def _centred(
    pixels: UInt8[np.ndarray, "h w 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the middle of `pixels`, black where there is nothing."""
    rows, columns, _ = pixels.shape
    top, left = max(0, rows - height) // 2, max(0, columns - width) // 2
    middle = pixels[top : top + height, left : left + width]
    rows, columns, _ = middle.shape
    if (rows, columns) == (height, width):
        return middle
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = middle
    return canvas
