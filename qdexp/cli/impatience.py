"""The first request to stop is kept; whoever asks a second time does not want to wait."""

import os
import signal
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

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
            raise KeyboardInterrupt
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        message = (
            f"\n{cursor}stopped at once by a second {signal.Signals(number).name}: what is "
            "finished is kept, and the same command goes on from the last checkpoints\n"
        )
        os.write(2, message.encode())  # Python's stream may be in use by what was interrupted
        os._exit(130)
