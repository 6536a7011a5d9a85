"""How a worker ends: at a SIGTERM, or when its trial does not report any more."""

import faulthandler
import signal
from typing import IO

from qdexp.execution.limits import grace_seconds
from qdexp.execution.ports import Assignment
from qdexp.execution.trial_log import LOG_FILE

_STDERR = 2


def end_at_sigterm() -> None:
    """Lets a SIGTERM end this worker at once, as SIGKILL does: its trial is tried again.

    A machine that is shut down sends it to all its processes. Ray would raise SystemExit in the
    trainable, and the trial would have failed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Watchdog:
    """Kills this process some time after a trial's budget, unless it was called off.

    It is a thread of the C runtime's that needs nothing of Python's, and so comes through where
    compiled code never returns. Where the process stood then is the last thing in the trial's log.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def watch(self, assignment: Assignment) -> None:
        """Begins to count; a trial without a budget may take as long as it wants."""
        self.call_off()
        budget = assignment.budget_seconds
        if budget is None:
            return
        try:
            self._file = (assignment.workspace.folder / LOG_FILE).open("ab")
        except OSError:
            self._file = None
        where = self._file.fileno() if self._file else _STDERR
        faulthandler.dump_traceback_later(budget + grace_seconds(budget), exit=True, file=where)

    def call_off(self) -> None:
        """Stops to count."""
        faulthandler.cancel_dump_traceback_later()
        if self._file:
            self._file.close()
            self._file = None
