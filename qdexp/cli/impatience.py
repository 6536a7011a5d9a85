"""The first request to stop is kept; whoever asks a second time does not want to wait."""

import os
import signal
from contextlib import AbstractContextManager, suppress
from types import FrameType

from qdexp.api import interruption

_STDERR = 2
_SHOW_CURSOR = "\x1b[?25h"


class Impatience:
    """A signal handler: the first signal interrupts, and a second one ends the process.

    Ending like this is as safe as a power cut: what is recorded is on the disk, Ray's processes
    end with this one, and MLflow is caught up by the next run. Nothing else is as quick, since
    each of them has something to wait for when it is closed.
    """

    def __init__(self) -> None:
        self._has_heard = False

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """Hears a signal.

        Raises:
            KeyboardInterrupt: It was the first.
        """
        if not self._has_heard:
            self._has_heard = True
            _say("stopping at the next safe point; a second Ctrl-C stops at once")
            raise KeyboardInterrupt
        name = signal.Signals(number).name
        cursor = _SHOW_CURSOR if os.isatty(_STDERR) else ""
        _say(
            f"{cursor}stopped at once by a second {name}: what is finished is kept, and the same "
            "command goes on from the last checkpoints"
        )
        os._exit(130)


def signals_interrupt() -> AbstractContextManager[None]:
    """Makes signals an interruption that can go on; a second one ends this process at once."""
    return interruption.signals_interrupt(Impatience().hear)


def _say(line: str) -> None:
    # Not by Python's stream, which what was interrupted may be using now.
    with suppress(OSError):
        os.write(_STDERR, f"\n{line}\n".encode())
