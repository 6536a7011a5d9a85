"""The tracker that the driver calls: it only queues, and one thread of its own writes."""

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Outcome, Progress

if TYPE_CHECKING:
    from qdexp.backends.mlflow_tracker.store import MlflowStore

_FLUSH_SECONDS = 3.0
"""How long the measurements of running trials are gathered before they are written."""

_Operation = Callable[["MlflowStore"], None]


class MlflowTracker:
    """Mirrors an experiment in an MLflow store under the runs folder.

    Nothing here waits for MLflow but `close`. MLflow is imported by the writing thread, which
    takes seconds, while the driver starts its workers.

    Args:
        runs: The runs folder; gets ``mlflow.db`` and ``mlartifacts/``.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs.absolute()
        self._operations: queue.Queue[_Operation | None] = queue.Queue()
        self._problems: list[str] = []
        self._is_done = False
        self._writer = threading.Thread(target=self._write, name="mlflow", daemon=True)

    def open_experiment(self, name: str, description: str) -> None:
        """Begins or continues the MLflow experiment `name` and its parent run."""
        self._writer.start()
        self._operations.put(lambda store: store.open_experiment(name, description))

    def start_trial(
        self, trial: Trial, condition: Condition, tags: Mapping[str, str], started_at: float
    ) -> None:
        """Begins or continues the one MLflow run of a trial; `started_at` in seconds since 1970."""
        self._operations.put(lambda store: store.start_trial(trial, condition, tags, started_at))

    def log(self, trial_id: str, progress: Progress) -> None:
        """Mirrors a report within a few seconds."""
        self._operations.put(lambda store: store.log(trial_id, progress))

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Mirrors an outcome, its complete history, and files as artifacts."""
        self._operations.put(lambda store: store.end_trial(outcome, files))

    def close(self) -> Sequence[str]:
        """Waits until all is written; returns what could not be mirrored, in words."""
        if self._writer.ident is not None:
            self._operations.put(None)
            self._writer.join()
            if not self._is_done:
                self._problems.append("MLflow: the writing thread died, see its traceback")
        return tuple(dict.fromkeys(self._problems))

    def _write(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Importing MLflow takes seconds: here, they pass while the driver starts its workers.
        from qdexp.backends.mlflow_tracker.store import PROBLEMS, MlflowStore  # noqa: PLC0415

        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # problems are `close`'s to return
        store: MlflowStore | None = None
        try:
            store = MlflowStore(self._runs, flush_seconds=_FLUSH_SECONDS)
        except PROBLEMS as problem:
            self._problems.append(f"MLflow: its store cannot be opened: {problem}")
        operation: _Operation | None = MlflowStore.flush
        while operation is not None:
            operation = self._next(MlflowStore.flush)
            try:
                if store:
                    (operation or MlflowStore.close)(store)
            except PROBLEMS as problem:
                self._problems.append(f"MLflow: {problem}")
        self._is_done = True

    def _next(self, otherwise: _Operation) -> _Operation | None:
        try:
            return self._operations.get(timeout=_FLUSH_SECONDS)
        except queue.Empty:
            return otherwise
