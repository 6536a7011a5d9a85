# pyright: basic
"""Clips as files that people look at: MP4 for players, GIF for pages.

The same frames make the same bytes. Axes: f frames, h and w pixels of one clip.
"""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from qdexp.config.configuration import Configuration

Frames = UInt8[np.ndarray, "f h w 3"]

FRAMES_PER_SECOND = 10.0
"""Where nothing says how fast a clip was: a GIF counts in hundredths of a second."""

GIF_COLOURS = 64
"""Of one palette for a whole GIF, made of its own frames: a palette a frame flickers."""

_SPEEDS = 0.01, 1000.0
"""Frames per second that both kinds of file can say; others become the nearest of them."""

_GAP = 4
"""White pixels between clips that stand side by side."""

_FITTED_PIXELS = 512 * 512
"""Pixels, at most, that a palette is made of."""


def playback_speed(config: Configuration) -> float:
    """Returns the frames per second of clips: the data's, where these are of videos that say so."""
    return config.data.fps or FRAMES_PER_SECOND


def frames_of(pixels: Float[Tensor, "3 f h w"]) -> Frames:
    """Returns the frames of a decoded clip; what lies outside of 0..1 is clipped, NaN is black."""
    levels = pixels.float().nan_to_num(0.0).clamp(0, 1).mul(255).round()
    return levels.to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()


def side_by_side(clips: Sequence[Frames]) -> UInt8[np.ndarray, "f h row 3"]:
    """Returns one clip that shows clips of one size from left to right."""
    frames, height, _, _ = clips[0].shape
    gap = np.full((frames, height, _GAP, 3), 255, dtype=np.uint8)
    parts = [part for clip in clips for part in (gap, clip)][1:]
    return np.concatenate(parts, axis=2)


def mp4(frames: Frames, frames_per_second: float = FRAMES_PER_SECOND) -> bytes:
    """Returns H.264 in an MP4 file that every player and browser shows.

    Its height and width must be even.
    """
    _, height, width, _ = frames.shape
    buffer = io.BytesIO()
    options = {"fflags": "+bitexact"}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        rate = Fraction(_possible(frames_per_second)).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        # One thread, and no note of the encoder's settings: the bytes are the frames' alone. So
        # no macroblock tree either: in small frames it reads memory that nothing was written to.
        stream.thread_count = 1
        stream.options = {"crf": "12", "preset": "medium", "mbtree": "0", "flags": "+bitexact"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()


def gif(frames: Frames, frames_per_second: float = FRAMES_PER_SECOND) -> bytes:
    """Returns a GIF that repeats for ever, in few colours and without dither: a small file."""
    milliseconds = max(20, round(100 / _possible(frames_per_second)) * 10)  # faster is slowed
    palette = _palette(frames)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=milliseconds,
        loop=0,
        optimize=True,
    )
    return buffer.getvalue()


def _possible(frames_per_second: float) -> float:
    least, greatest = _SPEEDS
    return min(max(frames_per_second, least), greatest)


def _palette(frames: Frames) -> Image.Image:
    """Returns an image whose palette suits all frames."""
    colours = frames.reshape(-1, 3)
    colours = colours[:: -(-len(colours) // _FITTED_PIXELS)]
    mosaic = Image.fromarray(colours[None])
    return mosaic.quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
