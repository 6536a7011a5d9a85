# pyright: basic
"""The clips of one video file, decoded as they are asked for."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import UInt8

from qdexp.config.data_config import DataConfig
from qdexp.data.clip_cutting import Timed, at_rate, every, runs
from qdexp.data.frame_fitting import fitted

_UNEVEN = 1.25
"""Frames that last this much longer than others are no rounding of times."""

_MISSING_SHARE, _MISSING_SECONDS = 0.05, 0.5
"""A video that ends earlier than this before its announced end breaks off."""


class VideoReader:
    """Reads clips of one file; what goes wrong ends the reading and is said, never raised.

    Args:
        path: The file.
        config: The clips' size, and how they are taken.
        start: The share of the video's length at which to begin.
        stop: The share of it at which to end; both are ignored where a file tells no length.
    """

    def __init__(
        self, path: Path, config: DataConfig, *, start: float = 0.0, stop: float = 1.0
    ) -> None:
        self._path = path
        self._config = config
        self._start, self._stop = start, stop
        self._shortest: Fraction | None = None
        self._longest: Fraction | None = None
        self._first: Fraction | None = None
        self._time = self._end = Fraction(0)
        self._pixel_aspect = 1.0
        self._announced: Fraction | None = None
        self._num_taken = self._num_damaged = 0
        self.num_clips = 0
        self.problem: str | None = None

    @property
    def share_read(self) -> float:
        """Share of the video's length that was read, as far as the file tells its length."""
        if not self._announced or self._first is None:
            return 0.0
        return min(1.0, float((self._end - self._first) / self._announced))

    @property
    def note(self) -> str | None:
        """What is worth knowing about the rate of the frames."""
        if self._config.fps is not None or not self._shortest or not self._longest:
            return None
        if self._longest <= self._shortest * _UNEVEN:
            return None
        slow, fast = float(1 / self._longest), float(1 / self._shortest)
        return (
            f"the frame rate varies, from {slow:.4g} to {fast:.4g} a second, and frames are taken "
            "one by one: set fps to take them by time"
        )

    def clips(self) -> Iterator[UInt8[np.ndarray, "3 f h w"]]:
        """Yields the clips in order; afterwards `problem` and `note` say how it went."""
        config = self._config
        try:
            cut = runs(self._taken(), num_frames=config.num_frames, overlap=config.overlap)
            for frames in cut:
                self.num_clips += 1
                yield np.stack(frames, axis=1)
        except (FFmpegError, OSError, ValueError) as error:
            self.problem = self._broken(error)
            return
        self.problem = self._shortfall()

    def _taken(self) -> Iterator[UInt8[np.ndarray, "3 h w"]]:
        """Yields the frames that clips are made of."""
        config, timed = self._config, self._timed()
        taken = at_rate(timed, config.fps) if config.fps else every(timed, config.stride)
        last: tuple[av.VideoFrame, np.ndarray] | None = None
        for frame in taken:
            if last is None or last[0] is not frame:  # one that stands is taken several times
                last = frame, fitted(frame, config, pixel_aspect=self._pixel_aspect)
            self._num_taken += 1
            yield last[1]

    def _timed(self) -> Iterator[Timed[av.VideoFrame]]:
        with av.open(str(self._path)) as container:
            stream = container.streams.best("video")
            if not isinstance(stream, VideoStream):
                raise ValueError("a file without video")
            stream.thread_type = "AUTO"
            self._pixel_aspect = float(stream.sample_aspect_ratio or 1)
            self._announced = _announced_seconds(container, stream)
            begin, end = self._seek(container, stream), self._end_time(stream)
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            for number, frame in enumerate(container.decode(stream)):
                time = number / rate
                if frame.pts is not None and frame.time_base:
                    time = frame.pts * frame.time_base
                if begin is not None and time < begin:
                    continue
                if end is not None and time >= end:
                    return
                ticks = frame.duration * frame.time_base if frame.time_base else 0
                timed = Timed(frame=frame, time=time, duration=ticks or 1 / rate)
                self._follow(timed)
                self._num_damaged += frame.is_corrupt
                yield timed

    def _seek(self, container: InputContainer, stream: VideoStream) -> Fraction | None:
        """Goes to where reading starts and returns its time; a file that cannot stays at its start.

        A seek lands on a frame that can be decoded alone, at or before the wanted one.
        """
        if not self._start or not self._announced or not stream.time_base:
            return None
        begin = _start_time(stream) + self._announced * Fraction(self._start)
        try:
            container.seek(int(begin / stream.time_base), stream=stream)
        except FFmpegError:
            return None
        return begin

    def _end_time(self, stream: VideoStream) -> Fraction | None:
        if self._stop == 1 or not self._announced:
            return None
        return _start_time(stream) + self._announced * Fraction(self._stop)

    def _follow(self, timed: Timed[av.VideoFrame]) -> None:
        """Keeps the time read so far, and the extremes of the time between frames."""
        if self._first is None:
            self._first = timed.time
        elif timed.time > self._time:
            between = timed.time - self._time
            self._shortest = min(between, self._shortest or between)
            self._longest = max(between, self._longest or between)
        self._time = timed.time
        self._end = timed.time + timed.duration

    def _broken(self, error: Exception) -> str:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        if self._first is None:
            size = self._path.stat().st_size if self._path.exists() else 0
            return f"expected a video, found {size} bytes: {reason}"
        return f"breaks off after {float(self._end - self._first):.1f} s: {reason}"

    def _shortfall(self) -> str | None:
        """Says what a file that was read to its end should have had and has not."""
        if self._first is None:
            return "expected a video, found no frame in it"
        read = self._end - self._first
        if self._announced and (self._start, self._stop) == (0, 1):
            missing = self._announced - read
            if missing > max(self._announced * Fraction(_MISSING_SHARE), _MISSING_SECONDS):
                return (
                    f"breaks off after {float(read):.1f} s of the {float(self._announced):.1f} s "
                    "that it announces"
                )
        if self.num_clips == 0:
            return (
                f"expected at least {self._config.num_frames} frames for one clip, found "
                f"{self._num_taken}"
            )
        if self._num_damaged:
            return f"has damaged frames, which look it: {self._num_damaged}"
        return None


def _start_time(stream: VideoStream) -> Fraction:
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))


def _announced_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Returns the length that the file claims for its pictures, if it does."""
    if stream.duration and stream.time_base:
        by_index = stream.duration * stream.time_base
        if container.format.name == "avi" and stream.frames and stream.average_rate:
            return max(by_index, stream.frames / stream.average_rate)  # FFmpeg cuts it to the file
        return by_index
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return None
