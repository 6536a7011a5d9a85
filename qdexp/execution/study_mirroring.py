"""Shows a search in a tool for browsing while it runs, without holding it up."""

import threading
from collections.abc import Sequence

from qdexp.execution.search_ports import StudyMirror
from qdexp.results.suggestions import SuggestionRecord

EVERY_SECONDS = 2.0
"""Least time between two looks at the mirror, but for the last one."""

PATIENCE_SECONDS = 300.0
"""How long the end of a search waits for a mirror that does not answer."""


class StudyMirroring:
    """Keeps a mirror up with a search, in a thread.

    Args:
        mirror: The mirror, or None if there is none.
    """

    def __init__(self, mirror: StudyMirror | None) -> None:
        self._mirror = mirror
        self._latest: list[SuggestionRecord] = []
        self._has_changed = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._problems: Sequence[str] | None = None

    def changed(self, records: Sequence[SuggestionRecord]) -> None:
        """Has the mirror show this at the next occasion."""
        if self._mirror is None:
            return
        self._latest = list(records)
        self._awakened(self._mirror)

    def close(self, records: Sequence[SuggestionRecord]) -> Sequence[str]:
        """Has the mirror show this now; returns what it does not show, in words."""
        if self._mirror is None:
            return ()
        self._latest = list(records)  # first: the thread ends with it
        self._is_closed.set()
        thread = self._awakened(self._mirror)
        thread.join(PATIENCE_SECONDS)
        if self._problems is not None:
            return self._problems
        what = "takes too long" if thread.is_alive() else "died, see its traceback"
        return (f"the study: what writes it {what}; `qdexp doctor` writes what is missing",)

    def _awakened(self, mirror: StudyMirror) -> threading.Thread:
        self._has_changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(mirror,), daemon=True)
            self._thread.start()
        return self._thread

    def _work(self, mirror: StudyMirror) -> None:
        while not self._is_closed.is_set():
            self._has_changed.wait()
            self._has_changed.clear()
            if not self._is_closed.is_set():
                mirror.show(self._latest)
                self._is_closed.wait(EVERY_SECONDS)
        self._problems = mirror.show(self._latest).unmended
