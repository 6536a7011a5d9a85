"""What a person sees while videos are encoded: a live line in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from qdexp.cli.board import WIDE
from qdexp.cli.durations import in_words

if TYPE_CHECKING:
    from qdexp.data.video_encoding import EncodingProgress

PLAIN_SECONDS = 10.0
"""Time between two plain lines."""

Show = Callable[["EncodingProgress"], None]


class Pace:
    """How far an encoding is, how fast, and how long it will still take.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._latest: EncodingProgress | None = None

    def add(self, progress: "EncodingProgress") -> None:
        """Takes note of a clip; the first one starts the clock."""
        self._latest = progress
        if self._began is None:
            self._began = self._clock()
            self._first = progress

    @property
    def share(self) -> float:
        """Share of all videos that is encoded."""
        return self._latest.share if self._latest else 0.0

    def __str__(self) -> str:
        """Returns all of it in one line."""
        if self._latest is None or self._began is None:
            return "reading videos"
        latest, elapsed = self._latest, self._clock() - self._began
        parts = [f"encoding: {latest.share:.0%}", f"{latest.num_clips} clips"]
        if elapsed > 0 and latest.num_clips > self._first.num_clips:
            speed = (latest.num_clips - self._first.num_clips) / elapsed
            parts.append(f"{speed:.1f} clips/s")
            read = latest.own_share - self._first.own_share
            if read > 0:
                parts.append(f"{in_words((1 - latest.share) * elapsed / read)} left")
        return ", ".join([*parts, latest.name])


@contextmanager
def encoding_display() -> Generator[Show]:
    """Lends a function that shows progress on stderr."""
    if not sys.stderr.isatty():
        yield PlainDisplay().show
        return
    with live_display(Console(stderr=True)) as show:
        yield show


class PlainDisplay:
    """Prints a line to stderr, not more often than every `PLAIN_SECONDS`.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._printed_at: float | None = None

    def show(self, progress: "EncodingProgress") -> None:
        """Prints the first clip's progress, and some between."""
        self._pace.add(progress)
        now = self._clock()
        if self._printed_at is None or now - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = now
            sys.stderr.write(f"{self._pace}\n")
            sys.stderr.flush()


@contextmanager
def live_display(console: Console) -> Generator[Show]:
    """Lends a function that redraws one line of a terminal; the last state stays there."""
    pace = Pace()

    def draw() -> Table:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=pace.share, width=24)
        line.add_row(*([bar] if console.width >= WIDE else []), str(pace))
        return line

    with Live(console=console, get_renderable=draw, refresh_per_second=4):
        yield pace.add
