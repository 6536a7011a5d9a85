"""Which video is held out, and in which order clips are used; importing this loads only NumPy.

A video's side depends on its content: another video that comes or goes leaves it where it is,
except that neither side may be empty.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from qdexp.config.data_config import LEAST_HELD_OUT, DataConfig

TRAIN, HELD_OUT = "train", "held_out"


def sides_of(hashes: Sequence[str], held_out_share: float) -> dict[str, str]:
    """Returns the side of each of two or more videos by its SHA-256."""
    ordered = sorted(hashes)
    threshold = int(held_out_share * 16**13)
    sides = {each: HELD_OUT if int(each[:13], 16) < threshold else TRAIN for each in ordered}
    if len(ordered) > 1:
        if TRAIN not in sides.values():
            sides[ordered[-1]] = TRAIN
        if HELD_OUT not in sides.values():
            sides[ordered[0]] = HELD_OUT
    return sides


def lone_split(num_clips: int, config: DataConfig) -> tuple[range, range]:
    """Returns the clips of an only video to train on, and its last ones, which are held out.

    Two are held out at least, which evaluation needs, where that leaves one to train on. Where
    neighbours overlap, the clips between the two are left out: they show frames of both.
    """
    step = config.num_frames - config.overlap
    num_shared = -(-config.num_frames // step) - 1
    least = LEAST_HELD_OUT if num_clips > LEAST_HELD_OUT + num_shared else 1
    num_held_out = min(max(least, round(num_clips * config.held_out_share)), num_clips)
    first = num_clips - num_held_out
    return range(max(0, first - num_shared)), range(first, num_clips)


def spread(clips: Sequence[range]) -> Int64[np.ndarray, "n 2"]:
    """Returns (video, clip) in an order whose every beginning is spread over videos and times.

    Each round takes one more clip of every video that has one, and within a video the next clip
    falls between those before it: the order of bit-reversed numbers (van der Corput, 1935).

    Args:
        clips: The clips of each video that take part.
    """
    videos = [np.full(len(own), video, np.int64) for video, own in enumerate(clips)]
    orders = [own.start + _bit_reversed(len(own)) for own in clips]
    if not videos:
        return np.zeros((0, 2), np.int64)
    rounds = np.concatenate([np.arange(len(order)) for order in orders])
    pairs = np.stack([np.concatenate(videos), np.concatenate(orders)], axis=1)
    return pairs[np.argsort(rounds, kind="stable")]


def _bit_reversed(count: int) -> Int64[np.ndarray, " n"]:
    """Returns 0..count-1 ordered by their bits read backwards."""
    numbers = np.arange(count, dtype=np.int64)
    reversed_bits = np.zeros(count, np.int64)
    for bit in range(max(1, (count - 1).bit_length())):
        reversed_bits = reversed_bits * 2 + ((numbers >> bit) & 1)
    return np.argsort(reversed_bits, kind="stable").astype(np.int64)
