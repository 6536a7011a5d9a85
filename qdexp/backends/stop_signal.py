"""A request to stop, from Ctrl-C or a scheduler: noticed at once, obeyed at a safe point."""

import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from qdexp.errors import InterruptedRunError

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignal:
    """Remembers the first SIGINT, SIGTERM or SIGUSR1 while it is entered.

    Whoever listened before is told of the first one too, but an interruption that it makes of it,
    or an exit (as Ray does in a process that called `ray.init`), has to wait; a second one is all
    its own, so that an impatient user gets out. Outside of the main thread, where Python allows no
    handlers, it remembers none.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._remember) for each in _STOPPING}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives every signal its former meaning back."""
        self._restore()

    def check(self) -> None:
        """Does nothing unless a signal came.

        Raises:
            InterruptedRunError: One did.
        """
        if self._received is not None:
            raise InterruptedRunError(
                f"stopped by {self._received.name}: what is finished is kept, and the same "
                "command goes on from there"
            )

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        former = self._previous.get(self._received)
        self._restore()
        if callable(former):
            with suppress(KeyboardInterrupt, SystemExit):
                former(number, frame)

    def _restore(self) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)
        self._previous = {}
