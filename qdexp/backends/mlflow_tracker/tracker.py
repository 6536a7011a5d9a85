"""The tracker that the driver calls: it only queues, and one thread of its own writes."""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.backends.mlflow_tracker.location import Location
from qdexp.execution.ports import Begun, Entry, Reported
from qdexp.results.outcome import Outcome, Progress

if TYPE_CHECKING:
    from qdexp.backends.mlflow_tracker.store import MlflowStore

_FLUSH_SECONDS = 3.0
"""How long the measurements of running trials are gathered before they are written."""

_PATIENCE_SECONDS = 10.0
"""How long `close` waits for one more operation before it asks whether anything answers."""

_MOST_PATIENCES = 30
"""How often in a row it hears that something answers, and waits again."""

_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between looks at a location that does not answer."""

_MOST_TRIES = 4
"""How often a change is tried that something answers and refuses: another machine may be at it."""

_TRY_PAUSE_SECONDS = 0.1

_MOST_QUEUED = 20_000
"""Operations that wait for a location that is away; the ledger has what is dropped beyond."""

_Operation = Callable[["MlflowStore"], None]

_given_up: list[threading.Thread] = []
"""Writers of this process that were left in the middle of a change."""


class MlflowTracker:
    """Mirrors an experiment in MLflow.

    Nothing here waits for MLflow but `close`, and that not for a location that does not answer.
    MLflow is imported by the writing thread, which takes seconds, while the driver starts its
    workers. An operation that fails because nothing answers is repeated until it does; what is not
    written in the end is in the ledger, and `close` says so.

    Args:
        location: Where MLflow tracks.
        patience_seconds: How long `close` waits for one more operation before it doubts.
    """

    def __init__(self, location: Location, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._location = location
        self._patience_seconds = patience_seconds
        self._operations: queue.Queue[_Operation | None] = queue.Queue()
        self._problems: list[str] = []
        self._mirrored: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._num_done = 0
        self._num_dropped = 0
        self._is_done = False
        self._is_given_up = False
        self._is_doubtful = True
        self._closing = threading.Event()
        self._store: MlflowStore | None = None
        self._writer = threading.Thread(target=self._write, name="mlflow", daemon=True)

    @property
    def place(self) -> str:
        """The tracking URI; empty for the runs folder's own store."""
        return self._location.place

    def open_experiment(self, entry: Entry) -> None:
        """Begins or continues the MLflow experiment and its parent run."""
        self._writer.start()
        self._put(lambda store: store.open_experiment(entry))

    def start_trial(self, begun: Begun) -> None:
        """Begins or continues the one MLflow run of a trial."""
        self._put(lambda store: store.start_trial(begun))

    def log(self, trial_id: str, progress: Progress) -> None:
        """Mirrors a report within a few seconds."""
        if self._operations.qsize() < _MOST_QUEUED // 2:  # the outcome has it again
            self._put(lambda store: store.log(trial_id, progress))

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Mirrors an outcome, its complete history, and files as artifacts."""
        light = replace(outcome, arrays={})  # it may wait for long, and arrays are not mirrored

        def end(store: "MlflowStore") -> None:
            store.end_trial(light, files)
            self._mirrored.put(light.trial_id)

        self._put(end)

    def end_experiment(self, reported: Reported) -> None:
        """Mirrors the verdict and the report."""
        self._put(lambda store: store.end_experiment(reported))

    def newly_mirrored(self) -> Sequence[str]:
        """Returns the trials whose outcome was written since this was last asked."""
        return tuple(self._mirrored.get() for _ in range(self._mirrored.qsize()))

    def close(self) -> Sequence[str]:
        """Waits until all is written, or nothing answers; returns what is not, in words."""
        if self._writer.ident is not None:
            self._operations.put(None)
            self._closing.set()
            self._wait()
            if not self._is_done and not self._is_given_up:
                self._problems.append("MLflow: the writing thread died, see its traceback")
        if self._num_dropped:
            self._problems.append(
                f"MLflow at {self._location.in_words}: {self._num_dropped} changes were too many "
                f"to wait for it; {_REMEDY}"
            )
        return tuple(dict.fromkeys(self._problems))

    def _put(self, operation: _Operation) -> None:
        if self._operations.qsize() < _MOST_QUEUED:
            self._operations.put(operation)
        else:
            self._num_dropped += 1

    def _wait(self) -> None:
        """Waits for the writer; not for one that waits for what does not answer."""
        patiences = 0
        while self._writer.is_alive() and not self._is_given_up:
            before = self._num_done
            self._writer.join(timeout=self._patience_seconds)
            patiences = patiences + 1 if self._num_done == before else 0
            if not self._writer.is_alive() or not patiences:
                continue
            silence = self._location.silence()
            if silence or patiences >= _MOST_PATIENCES:
                self._give_up(silence or "it takes too long over one change")

    def _give_up(self, because: str) -> None:
        self._is_given_up = True
        _given_up.append(self._writer)
        self._problems.append(f"MLflow at {self._location.in_words}: {because}; {_REMEDY}")

    def _write(self) -> None:
        quieten()
        wait_for_former_writers()
        is_last = False
        while not is_last and not self._is_given_up:
            operation = self._next()
            is_last = operation is None
            self._perform(operation or _closed)
        self._is_done = not self._is_given_up

    def _next(self) -> _Operation | None:
        try:
            return self._operations.get(timeout=_FLUSH_SECONDS)
        except queue.Empty:
            return _flushed

    def _perform(self, operation: _Operation) -> None:
        """Does an operation as often as it takes; notes what waiting does not mend."""
        # Importing MLflow takes seconds: here, they pass while the driver starts its workers.
        from qdexp.backends.mlflow_tracker.store import PROBLEMS  # noqa: PLC0415

        quieten()  # once more, since MLflow sets its loggers up when it is imported
        tries = 0
        while not self._is_given_up and self._answers():
            try:
                operation(self._opened())
            except PROBLEMS as problem:
                self._is_doubtful = True
                if self._store:
                    self._store.forget()
                if self._location.silence():
                    continue
                tries += 1
                if tries == _MOST_TRIES or self._store is None:
                    self._note(problem)
                    break
                time.sleep(_TRY_PAUSE_SECONDS * tries)
            else:
                break
        self._num_done += 1

    def _opened(self) -> "MlflowStore":
        from qdexp.backends.mlflow_tracker.store import MlflowStore  # noqa: PLC0415

        if self._store is None:
            self._store = MlflowStore(self._location, flush_seconds=_FLUSH_SECONDS)
        return self._store

    def _answers(self) -> bool:
        """Waits, where that is in doubt, until something answers; not once the driver waits."""
        looks = 0
        while self._is_doubtful and (silence := self._location.silence()):
            if self._closing.is_set():
                self._give_up(silence)
                return False
            self._closing.wait(_PAUSES[min(looks, len(_PAUSES) - 1)])
            looks += 1
        self._is_doubtful = False
        return True

    def _note(self, problem: Exception) -> None:
        what = "" if self._store else "its store cannot be opened: "
        self._problems.append(f"MLflow: {what}{problem}")


_REMEDY = (
    "what it does not show is in the ledger, and `qdexp doctor` or the next run adds it: nothing "
    "is lost"
)


def wait_for_former_writers() -> None:
    """Waits for the change at which a writer of this process was given up.

    MLflow asks a server again for minutes: what it writes late must not undo what comes after.
    """
    while _given_up:
        if _given_up[0] is not threading.current_thread():
            _given_up[0].join()
        _given_up.pop(0)


def quieten() -> None:
    """Keeps MLflow from telling its makers of its use, and from writing to stdout or stderr."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("mlflow", "urllib3.connectionpool", "psycopg"):  # problems are `close`'s to return
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _flushed(store: "MlflowStore") -> None:
    store.flush()


def _closed(store: "MlflowStore") -> None:
    store.close()
