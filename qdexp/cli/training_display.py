"""What a person sees of one training: a live line in a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from qdexp.cli.board import WIDE
from qdexp.cli.durations import in_words
from qdexp.results.outcome import Progress

PLAIN_SECONDS = 10.0
"""Time between two plain lines."""

LOSS, PERPLEXITY = "train.loss", "train.perplexity"

Show = Callable[[Progress], None]


class Pace:
    """How far a training is, how fast, and how long it will still take.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._latest: dict[str, float] = {}
        self.step = 0
        self.num_steps = 0
        self.steps_per_second: float | None = None

    def add(self, progress: Progress) -> None:
        """Takes note of a report; speed is measured from the first one on."""
        now = self._clock()
        self.step, self.num_steps = progress.step, progress.num_steps
        self._latest |= progress.measurements
        if self._first is None:
            self._first = now, progress.step
        began, first_step = self._first
        if now > began and progress.step > first_step:
            self.steps_per_second = (progress.step - first_step) / (now - began)

    @property
    def seconds_left(self) -> float | None:
        """Time until the last step, or None too early to tell."""
        speed = self.steps_per_second
        return (self.num_steps - self.step) / speed if speed else None

    def __str__(self) -> str:
        """Returns all of it in one line."""
        if not self.num_steps:
            return "starting"
        parts = [f"step {self.step}/{self.num_steps}"]
        for label, metric in (("loss", LOSS), ("perplexity", PERPLEXITY)):
            if metric in self._latest:
                parts.append(f"{label} {self._latest[metric]:.4g}")
        if self.steps_per_second:
            parts.append(f"{self.steps_per_second:.1f} steps/s")
        if self.step >= self.num_steps:
            parts.append("measuring")
        elif self.seconds_left is not None:
            parts.append(f"{in_words(self.seconds_left)} left")
        return ", ".join(parts)


@contextmanager
def progress_display(*, is_shown: bool) -> Generator[Show]:
    """Lends a function that shows a report on stderr, or that does nothing."""
    if not is_shown:
        yield _nothing
    elif sys.stderr.isatty():
        with live_display(Console(stderr=True)) as show:
            yield show
    else:
        yield PlainDisplay().show


class PlainDisplay:
    """Prints a line to stderr, not more often than every `PLAIN_SECONDS`.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._printed_at: float | None = None

    def show(self, progress: Progress) -> None:
        """Prints the first report, the last step's, and some between."""
        self._pace.add(progress)
        now = self._clock()
        is_due = self._printed_at is None or now - self._printed_at >= PLAIN_SECONDS
        if is_due or progress.step >= progress.num_steps:
            self._printed_at = now
            sys.stderr.write(f"{self._pace}\n")
            sys.stderr.flush()


@contextmanager
def live_display(console: Console) -> Generator[Show]:
    """Lends a function that redraws one line of a terminal; the last state stays there."""
    pace = Pace()

    def draw() -> Table:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(1, pace.num_steps), completed=pace.step, width=24)
        line.add_row(*([bar] if console.width >= WIDE else []), str(pace))
        return line

    with Live(console=console, get_renderable=draw, refresh_per_second=4):
        yield pace.add


def _nothing(_progress: Progress) -> None:
    pass
