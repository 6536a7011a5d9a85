"""Which frames of a video make which clip: by number or by time, one clip in memory at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

T = TypeVar("T")

LONGEST_GAP = 600
"""Seconds without a frame beyond which timestamps are taken to be wrong, not a picture to stand."""


@dataclass(frozen=True, kw_only=True)
class Timed(Generic[T]):
    """A frame and when it is shown, in seconds."""

    frame: T
    time: Fraction
    duration: Fraction


def every(frames: Iterable[Timed[T]], stride: int) -> Iterator[T]:
    """Yields the first frame and every `stride`-th after it, whatever their times."""
    for number, timed in enumerate(frames):
        if number % stride == 0:
            yield timed.frame


def at_rate(frames: Iterable[Timed[T]], fps: float) -> Iterator[T]:
    """Yields the frame nearest to each tick of `fps`, from the first frame's time on.

    Nearest, since containers round times: at a video's own rate every frame comes exactly once.

    Raises:
        ValueError: Times jump further than any video stands still.
    """
    step = 1 / Fraction(fps).limit_denominator(100_000)
    tick: Fraction | None = None
    held: Timed[T] | None = None
    for timed in frames:
        if held is None or tick is None:
            held, tick = timed, timed.time
            continue
        gap = timed.time - held.time
        if gap > LONGEST_GAP:
            raise ValueError(f"times of frames jump by {float(gap):.0f} s")
        middle = (held.time + timed.time) / 2
        while tick <= middle:
            yield held.frame
            tick += step
        held = timed
    if held is not None and tick is not None:
        while tick <= held.time + held.duration / 2:
            yield held.frame
            tick += step


def runs(frames: Iterable[T], *, num_frames: int, overlap: int) -> Iterator[list[T]]:
    """Yields runs of `num_frames` frames; neighbours share `overlap`, what is left over is not."""
    kept: list[T] = []
    for frame in frames:
        kept.append(frame)
        if len(kept) == num_frames:
            yield kept
            kept = kept[num_frames - overlap :]
