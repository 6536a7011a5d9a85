"""Signals that stop a run so that it can go on later."""

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from qdexp.errors import InterruptedRunError

Hear = Callable[[int, FrameType | None], None]


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def signals_interrupt(
    hear: Hear = _interrupt, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGUSR1)
) -> Generator[None]:
    """Makes Ctrl-C, and a scheduler's SIGTERM and SIGUSR1, an interruption that can go on.

    Outside of the main thread, where Python allows no handlers, only a KeyboardInterrupt is one.

    Args:
        hear: Handles the signals; raises KeyboardInterrupt to interrupt.
        signals: Those that it handles. Python itself makes a KeyboardInterrupt of Ctrl-C.

    Raises:
        InterruptedRunError: One came.
    """
    is_main = threading.current_thread() is threading.main_thread()
    former = {each: signal.signal(each, hear) for each in (signals if is_main else ())}
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped: what is finished is kept, and the same command goes on from there"
        ) from None
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
