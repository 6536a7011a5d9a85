"""Clips as files: what is written is what is seen."""

import io
import os
import platform
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from PIL import Image

from qdexp.data.clip_files import Frames, frames_of, gif, mp4, side_by_side


@pytest.fixture
def frames() -> Frames:
    """A white square that moves over a dark gradient."""
    shade = np.linspace(0, 90, 32, dtype=np.uint8)
    frames = np.broadcast_to(shade[None, None, :, None], (9, 24, 32, 3)).copy()
    for number, frame in enumerate(frames):
        frame[8:16, number : number + 8] = 255
    return frames


def test_pixels_outside_of_the_range_are_clipped_and_nan_is_black() -> None:
    pixels = torch.tensor([-0.5, 0.0, 0.5, 1.0, 7.0, float("nan")]).expand(3, 1, 1, 6)
    assert frames_of(pixels)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 0]


def test_mp4_plays_the_frames_at_their_speed(frames: Frames) -> None:
    with av.open(io.BytesIO(mp4(frames, 8.0)), "r") as container:
        played = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        stream = container.streams.video[0]
        assert stream.average_rate == 8
        assert stream.codec_context.name == "h264"
    assert played.shape == frames.shape
    assert np.abs(played.astype(int) - frames).mean() < 4


def test_gif_repeats_the_frames_for_ever(frames: Frames) -> None:
    with Image.open(io.BytesIO(gif(frames, 8.0))) as image:
        assert image.info["loop"] == 0
        assert image.info["duration"] == 120
        shown = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            shown.append(np.asarray(image.convert("RGB")))
    assert np.stack(shown).shape == frames.shape
    assert np.abs(np.stack(shown).astype(int) - frames).mean() < 4


@pytest.mark.parametrize(("speed", "milliseconds"), [(1e-320, 100_000), (1000.0, 20), (1e9, 20)])
def test_speeds_that_no_file_can_say_become_the_nearest(
    frames: Frames, speed: float, milliseconds: int
) -> None:
    with Image.open(io.BytesIO(gif(frames, speed))) as image:
        assert image.info["duration"] == milliseconds
    with av.open(io.BytesIO(mp4(frames, speed)), "r") as container:
        assert len(list(container.decode(video=0))) == len(frames)


def test_the_same_frames_make_the_same_bytes(frames: Frames) -> None:
    assert mp4(frames) == mp4(frames.copy())
    assert gif(frames) == gif(frames.copy())


ENCODE = """
import hashlib, numpy as np
from qdexp.data.clip_files import mp4
draw = np.random.default_rng(0)
frames = draw.normal(size=(5, 32, 1, 3)) * draw.normal(size=(5, 1, 32, 3)) * 90
print(hashlib.sha256(mp4(frames.clip(0, 255).astype(np.uint8))).hexdigest())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc fills memory on request")
def test_the_bytes_do_not_depend_on_what_memory_held_before() -> None:
    """x264's macroblock tree read unwritten memory: these frames became four different files."""
    found = {
        subprocess.run(
            [sys.executable, "-c", ENCODE],
            env=os.environ | {"MALLOC_PERTURB_": fill},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for fill in ("0", "1", "85", "170")
    }
    assert len(found) == 1


def test_a_clip_of_one_frame_is_a_clip(frames: Frames) -> None:
    with Image.open(io.BytesIO(gif(frames[:1]))) as image:
        assert image.size == (32, 24)
    with av.open(io.BytesIO(mp4(frames[:1])), "r") as container:
        assert len(list(container.decode(video=0))) == 1


def test_clips_stand_side_by_side_with_a_gap(frames: Frames) -> None:
    row = side_by_side([frames, 255 - frames])
    assert row.shape == (9, 24, 68, 3)
    assert (row[:, :, :32] == frames).all()
    assert (row[:, :, 36:] == 255 - frames).all()
    assert (row[:, :, 32:36] == 255).all()
