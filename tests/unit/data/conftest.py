"""Videos that are made for a test: moving stripes, of any rate, size, format and rotation.

Six of them are encoded once for all tests, which change copies of them.
"""

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.unit.data.encoded_videos import NUM_VIDEOS, encode, videos_in

CODECS = {
    ".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".mkv": "libx264",
    ".webm": "libvpx", ".avi": "mpeg4", ".mpg": "mpeg2video", ".gif": "gif",
}  # fmt: skip

CORNER = 16

MakeVideo = Callable[..., Path]


def moving_stripes(number: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns a frame (h, w, 3): moving stripes, and two grey corners that tell its number."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x * (1 + c) + y * c + number + 5 * seed) / (5 + c + seed)) for c in range(3)]
    frame = np.stack([128 + 80 * wave for wave in waves], axis=-1).astype(np.uint8)
    frame[:CORNER, :CORNER] = 20 + number // 10 * 10
    frame[:CORNER, -CORNER:] = 20 + number % 10 * 20
    return frame


def numbers(clips: np.ndarray) -> list[list[int]]:
    """Returns the number that each frame of clips (n, 3, f, h, w) tells."""
    inner = slice(4, CORNER - 4)
    corners = clips[:, :, :, inner, inner], clips[:, :, :, inner, -CORNER + 4 : -4]
    tens, units = (
        np.round((corner.mean(axis=(1, 3, 4)) - 20) / step)
        for corner, step in zip(corners, (10, 20), strict=True)
    )
    return (tens * 10 + units).astype(int).tolist()


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    """Writes a video of some frames; ``times`` in milliseconds make its rate vary."""

    def make(  # noqa: PLR0913 - each is what one kind of video has
        path: Path,
        *,
        num_frames: int = 20,
        rate: int = 25,
        size: tuple[int, int] = (48, 64),
        frames: Sequence[np.ndarray] | None = None,
        times: Sequence[int] | None = None,
        rotation: int = 0,
        pixel_aspect: Fraction | None = None,
        seed: int = 0,
        options: dict[str, str] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if frames is None:
            frames = [moving_stripes(number, *size, seed) for number in range(num_frames)]
        with av.open(str(path), "w", options=options or {}) as container:
            stream: Any = container.add_stream(CODECS[path.suffix.lower()], rate=rate)
            stream.height, stream.width = frames[0].shape[:2]
            stream.bit_rate = 8_000_000
            stream.options = {"crf": "4"}
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            stream.pix_fmt = "rgb8" if path.suffix == ".gif" else "yuv420p"
            if rotation:
                stream.set_display_rotation(rotation)
            if pixel_aspect:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
            for number, pixels in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
                if times is not None:
                    frame.pts, frame.time_base = times[number], Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:
    """Six videos with 2 to 7 clips of 5 frames each, last changed long ago."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        file = make_video(folder / f"{number}.mp4", num_frames=10 + 5 * number, seed=number)
        os.utime(file, (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture(scope="session")
def prepared(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "latents"
    encode(videos_in(videos), folder)
    return folder
