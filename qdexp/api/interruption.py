"""Signals that stop a run so that it can go on later."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from qdexp.errors import InterruptedRunError, QdexpError

Hear = Callable[[int, FrameType | None], None]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

AGAIN_SECONDS = 0.05
"""How long after an interruption that got lost it comes again."""


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def signals_interrupt(
    hear: Hear = _interrupt, signals: Sequence[signal.Signals] = STOPPING
) -> Generator[None]:
    """Makes Ctrl-C, and a scheduler's SIGTERM and SIGUSR1, an interruption that can go on.

    Outside of the main thread, where Python allows no handlers, only a KeyboardInterrupt is one.

    Args:
        hear: Handles the signals; raises KeyboardInterrupt to interrupt.
        signals: Those that it handles.

    Raises:
        InterruptedRunError: One came.
    """
    by = _Insistent(hear, signals[0])
    is_main = threading.current_thread() is threading.main_thread()
    try:
        with _handled(by, signals if is_main else ()):
            yield
    except QdexpError:
        raise
    except (KeyboardInterrupt, Exception) as error:
        # Compiled code may make another error of an interruption that it meets.
        if not by.has_interrupted and not isinstance(error, KeyboardInterrupt):
            raise
        raise InterruptedRunError(
            "stopped: what is finished is kept, and the same command goes on from there"
        ) from None


@contextmanager
def interruptions_wait() -> Generator[None]:
    """Lets the first signal wait until what is inside is done; a second one does not wait.

    For compiled code that makes another error of an interruption, where that error is no end.
    """
    waiting: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)
        restore()

    def restore() -> None:
        for each, handler in former.items():
            signal.signal(each, handler)

    is_main = threading.current_thread() is threading.main_thread()
    former = {each: signal.signal(each, remember) for each in (STOPPING if is_main else ())}
    try:
        yield
    finally:
        restore()
        for number in waiting:
            signal.raise_signal(number)


@contextmanager
def _handled(by: "_Insistent", signals: Sequence[signal.Signals]) -> Generator[None]:
    if not signals:
        yield
        return
    former = {each: signal.signal(each, by.hear) for each in signals}
    sys.unraisablehook = by.notice
    try:
        yield
    finally:
        by.rest()
        sys.unraisablehook = by.former_hook
        for each, handler in former.items():
            signal.signal(each, handler)


class _Insistent:
    """Interrupts again where Python has thrown an interruption away.

    It does so with whatever a handler raises in a destructor or in a weak reference's callback.

    Args:
        hear: Handles a signal that somebody sent.
        signal_: What this one sends.
    """

    def __init__(self, hear: Hear, signal_: signal.Signals) -> None:
        self.former_hook = sys.unraisablehook
        self.has_interrupted = False
        self._hear = hear
        self._signal = signal_
        self._again: threading.Timer | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal.

        Raises:
            KeyboardInterrupt: It interrupts.
        """
        if self._again is not None:
            self.rest()
            raise KeyboardInterrupt
        self.has_interrupted = True
        self._hear(number, frame)

    def notice(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Hears of an exception that nobody can catch."""
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.former_hook(unraisable)
            return
        self._again = threading.Timer(AGAIN_SECONDS, _thread.interrupt_main, [self._signal])
        self._again.daemon = True
        self._again.start()

    def rest(self) -> None:
        """Sends nothing any more."""
        if self._again is not None:
            self._again.cancel()
        self._again = None
