# pyright: basic
"""Labelled clips of handwritten digits that move and bounce, from scikit-learn's `load_digits`.

Clip i of a split is a function of (seed, split, i) alone, so a smaller set is the beginning of a
larger one. All arithmetic is on integers and on raw words of Philox (Salmon et al., 2011), which
NumPy keeps stable, so the frames are the same bytes on every machine. The images are split in
blocks of ten: every fifth block is held out, and no held-out clip shows an image that a training
clip may show.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import sklearn
from jaxtyping import Int64, UInt8
from sklearn.datasets import load_digits

from qdexp.config.data_config import DataConfig
from qdexp.data.fingerprint import FRAMES_SHA256
from qdexp.errors import DataError

Split = Literal["train", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "held_out")
MOST_DIGITS = 3
NO_DIGIT = -1

_IMAGE_SIDE = 8
_IMAGE_MAX = 16
_SUBPIXELS = 256
_WORDS_PER_CLIP = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Clips:
    """Clips in order.

    Args:
        frames: Pixels in 0..255.
        labels: The digits shown, from the backmost; `NO_DIGIT` where there are fewer.
    """

    frames: UInt8[np.ndarray, "n 3 f h w"]
    labels: Int64[np.ndarray, "n digits"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Images of handwritten digits, intensities in 0..16, and what they show."""

    images: UInt8[np.ndarray, "n 8 8"]
    labels: Int64[np.ndarray, " n"]


@cache
def digits(split: Split) -> Digits:
    """Returns the digit images of a split: 1,440 to train on, 357 held out."""
    pixels, labels = load_digits(return_X_y=True)
    chosen = (np.arange(len(labels)) // 10 % 5 == 4) == (split == "held_out")
    return Digits(
        images=pixels[chosen].reshape(-1, _IMAGE_SIDE, _IMAGE_SIDE).astype(np.uint8),
        labels=np.asarray(labels[chosen], np.int64),
    )


def make_clips(config: DataConfig, split: Split, indices: range) -> Clips:
    """Returns the clips of a split at `indices`."""
    frames = np.empty((len(indices), 3, config.num_frames, config.height, config.width), np.uint8)
    labels = np.full((len(indices), MOST_DIGITS), NO_DIGIT, np.int64)
    for row, index in enumerate(indices):
        _draw_clip(config, split, index, frames[row], labels[row])
    return Clips(frames=frames, labels=labels)


def verify_reference() -> None:
    """Checks that the clips made here are those that every other machine makes.

    Raises:
        DataError: The installed scikit-learn or NumPy makes others.
    """
    found = reference_sha256()
    if found != FRAMES_SHA256:
        raise DataError(
            f"moving_digits: expected reference clips with SHA-256 {FRAMES_SHA256}, found {found} "
            f"(scikit-learn {sklearn.__version__}, numpy {np.__version__}); reinstall them: "
            "pip install --force-reinstall 'scikit-learn>=1.7,<2' 'numpy>=2,<3'"
        )


def reference_sha256() -> str:
    """Returns the SHA-256 of every digit image and label, and of four clips of each split."""
    config = DataConfig(num_frames=17, height=64, width=64, seed=0)
    hasher = hashlib.sha256()
    for split in SPLITS:
        images, clips = digits(split), make_clips(config, split, range(4))
        for array in (images.images, images.labels, clips.frames, clips.labels):
            hasher.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return hasher.hexdigest()


def _draw_clip(
    config: DataConfig,
    split: Split,
    index: int,
    frames: UInt8[np.ndarray, "3 f h w"],
    labels: Int64[np.ndarray, " digits"],
) -> None:
    """Fills `frames` and `labels` with clip `index`."""
    # The seed comes last because it alone has any number of words: no two keys are then the same.
    below = _draws((SPLITS.index(split), index, config.seed))
    source = digits(split)
    frames[:] = _background(config, below)[:, None]
    for layer in range(1 + below(MOST_DIGITS)):
        image = below(len(source.labels))
        labels[layer] = source.labels[image]
        small = min(config.height, config.width)
        opacity = _enlarged(source.images[image], side=small * (5 + below(3)) // 16)
        _paste_moving(frames, opacity, _colour(below), below)


def _draws(key: tuple[int, ...]) -> Callable[[int], int]:
    """Returns a function that draws integers in 0..n-1 from the stream of `key`."""
    words = iter(np.random.Philox(np.random.SeedSequence(key)).random_raw(_WORDS_PER_CLIP).tolist())

    def below(n: int) -> int:
        return (next(words) >> 32) * n >> 32

    return below


def _background(config: DataConfig, below: Callable[[int], int]) -> UInt8[np.ndarray, "3 h w"]:
    """Returns a dark gradient between four corner colours."""
    corners = np.array([below(96) for _ in range(12)]).reshape(3, 2, 2)
    rows, columns = _ramp(config.height), _ramp(config.width)
    weight = (config.height - 1) * (config.width - 1)
    return ((rows @ corners @ columns.T + weight // 2) // weight).astype(np.uint8)


def _ramp(size: int) -> Int64[np.ndarray, "size 2"]:
    """Returns the weights of both ends along an axis; each row sums to ``size - 1``."""
    positions = np.arange(size)
    return np.stack([size - 1 - positions, positions], axis=1)


def _colour(below: Callable[[int], int]) -> Int64[np.ndarray, "3 1 1 1"]:
    """Returns a bright colour: one channel is full, the others are at least 64."""
    channels = np.array([64 + below(192) for _ in range(3)])
    channels[below(3)] = 255
    return channels[:, None, None, None]


def _enlarged(image: UInt8[np.ndarray, "8 8"], *, side: int) -> Int64[np.ndarray, "side side"]:
    """Returns the image interpolated linearly to `side` pixels, as opacity in 0..255."""
    weights = _interpolation(side)
    total = _IMAGE_MAX * (2 * side) ** 2
    return (weights @ image.astype(np.int64) @ weights.T * 255 + total // 2) // total


@cache
def _interpolation(side: int) -> Int64[np.ndarray, "side 8"]:
    """Returns weights of linear interpolation, centres aligned; each row sums to ``2 * side``."""
    position = _IMAGE_SIDE * (2 * np.arange(side) + 1) - side
    position = position.clip(0, 2 * side * (_IMAGE_SIDE - 1))
    left, part = np.divmod(position, 2 * side)
    weights = np.zeros((side, _IMAGE_SIDE), np.int64)
    weights[np.arange(side), left] += 2 * side - part
    weights[np.arange(side), np.minimum(left + 1, _IMAGE_SIDE - 1)] += part
    return weights


def _paste_moving(
    frames: UInt8[np.ndarray, "3 f h w"],
    opacity: Int64[np.ndarray, "side side"],
    colour: Int64[np.ndarray, "3 1 1 1"],
    below: Callable[[int], int],
) -> None:
    """Blends one moving digit over `frames`."""
    _, num_frames, height, width = frames.shape
    side = len(opacity)
    fastest = 8 * min(height, width)
    tops, lefts = (
        bounces(num_frames, size - side, fastest=fastest, below=below) for size in (height, width)
    )
    frame = np.arange(num_frames)[:, None, None]
    rows = tops[:, None, None] + np.arange(side)[:, None]
    columns = lefts[:, None, None] + np.arange(side)
    behind = frames[:, frame, rows, columns].astype(np.int64)
    blended = (behind * (255 - opacity) + colour * opacity + 127) // 255
    frames[:, frame, rows, columns] = blended


def bounces(
    num_frames: int, room: int, *, fastest: int, below: Callable[[int], int]
) -> Int64[np.ndarray, " f"]:
    """Returns positions in 0..room, in pixels, of a point that bounces elastically at both ends.

    Args:
        num_frames: How many positions.
        room: The greatest position.
        fastest: The greatest speed, in 1/256 pixel per frame; the least is a fifth of it.
        below: Draws the start, speed and direction.
    """
    end = room * _SUBPIXELS
    start, speed, direction = below(end + 1), fastest // 5 + below(fastest * 4 // 5 + 1), below(2)
    travelled = start + (speed if direction else -speed) * np.arange(num_frames)
    folded = end - np.abs(end - travelled % (2 * end))
    return (folded + _SUBPIXELS // 2) // _SUBPIXELS
