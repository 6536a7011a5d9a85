"""The log of one trial: what its trainable prints and logs, attempt after attempt.

Streams belong to a process, not to a trial, so they are redirected only while the trainable's own
code runs: what the driver shows of it meanwhile is nobody's log.
"""

import io
import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

LOG_FILE = "log.txt"

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_STREAMS = (1, 2)
"""The descriptors of stdout and stderr."""


class TrialLog:
    """Appends to a trial's log file until it is closed.

    A log that cannot be written is not worth a trial: then what was printed is lost, and so is
    everything without the folder.

    Args:
        folder: The trial's folder.
        rank: Which of the trial's processes this is; others than the first have their own files.
        takes_descriptors: Whether the process has nothing else to print, so that also what does
            not come from Python's streams (compiled code, child processes) belongs here.
    """

    def __init__(self, folder: Path, *, rank: int = 0, takes_descriptors: bool = False) -> None:
        self._file = _opened(folder / (f"log_rank_{rank}.txt" if rank else LOG_FILE))
        self._stream = _Forgiving(self._file) if self._file else None
        self._takes_descriptors = takes_descriptors

    def say(self, line: str) -> None:
        """Writes a line of our own, with the time."""
        if self._stream:
            moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            self._stream.write(f"--- {moment} {line} ---\n")
            self._stream.flush()

    def close(self) -> None:
        """Ends writing."""
        if self._file:
            with suppress(OSError):
                self._file.close()

    @contextmanager
    def capturing(self) -> Generator[None]:
        """Takes what is printed and logged meanwhile."""
        if not self._stream:
            yield
            return
        former = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self._stream
        try:
            with self._descriptors(), _logging_to(self._stream):
                yield
        finally:
            sys.stdout, sys.stderr = former
            self._stream.flush()

    @contextmanager
    def _descriptors(self) -> Generator[None]:
        if not self._takes_descriptors or not self._file:
            yield
            return
        former = [os.dup(each) for each in _STREAMS]
        for each in _STREAMS:
            os.dup2(self._file.fileno(), each)
        try:
            yield
        finally:
            for kept, each in zip(former, _STREAMS, strict=True):
                os.dup2(kept, each)
                os.close(kept)


def last_lines(folder: Path, count: int) -> list[str]:
    """Returns the end of a trial's log, without what a terminal would not print."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 400 * count))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = text.replace("\r", "\n").split("\n")
    shown = [line for line in lines if line.strip()][-count:]
    return [
        "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line) for line in shown
    ]


def _opened(path: Path) -> TextIO | None:
    try:
        # Each line by itself: what a killed worker printed last is what one wants to read.
        return path.open("a", encoding="utf-8", errors="replace", buffering=1)
    except OSError:
        return None


@contextmanager
def _logging_to(stream: io.TextIOBase) -> Generator[None]:
    """Writes what is logged to a stream; also what is merely informative, unless someone chose."""
    root = logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_LINE))
    level = root.level
    if not root.handlers and level == logging.WARNING:
        root.setLevel(logging.INFO)
    chosen = root.level
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        if root.level == chosen:  # else the trainable chose another
            root.setLevel(level)


class _Forgiving(io.TextIOBase):
    """A stream to a file that raises nothing, so that a full disk fails no trial by its prints."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        # A stream that was closed is a ValueError: a handler may have kept it.
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()

    def close(self) -> None:
        """Does nothing: what a trainable does with its stdout is not the log's end."""

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def buffer(self) -> BinaryIO:
        """Where a trainable writes bytes."""
        return self._file.buffer
