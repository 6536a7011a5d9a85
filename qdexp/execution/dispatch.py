"""The driver's side of a storage: sends trials' files there, and takes them back.

Which trials have files there is marked in the runs folder before the first is sent, so that after
a driver was killed the next one knows whose checkpoints to take back, and from where.
"""

import hashlib
import platform
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from qdexp.errors import RequestError
from qdexp.execution.journey import bring_back, hand_over
from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.storage import Storage
from qdexp.results.folders import trial_folder
from qdexp.results.outcome import Outcome, Progress

MARKS = "in_storage"


def place_in(uri: str, runs: Path) -> str:
    """Returns the URI of a runs folder's own place in a storage."""
    owner = hashlib.sha256(f"{platform.node()}:{runs}".encode()).hexdigest()[:12]
    return f"{uri.rstrip('/')}/qdexp-{owner}"


def recall(runs: Path, storage_of: Callable[[str], Storage]) -> int:
    """Takes back the files of trials whose driver was killed; returns the number of trials.

    Raises:
        RequestError: The storage cannot be read.
    """
    marks = sorted((runs / MARKS).glob("*"))
    for mark in marks:
        uri = mark.read_text()
        try:
            if uri:  # an empty one is of a driver that was killed before it sent anything
                bring_back(trial_folder(runs, mark.name), storage_of(uri))
        except OSError as error:
            raise RequestError(
                f"expected to read {uri}, where {len(marks)} interrupted trials have their "
                f"checkpoints, found: {error}; make it reachable, or remove {runs / MARKS} to do "
                "without what only it holds"
            ) from error
        mark.unlink()
    return len(marks)


class Dispatch:
    """Sends trials' files to a storage, and takes them back.

    Args:
        runs: The runs folder.
        uri: The URI of its place in the storage.
        storage: What is there.
        say: Shows a line to people.
    """

    def __init__(self, runs: Path, uri: str, storage: Storage, say: Callable[[str], None]) -> None:
        self._runs = runs
        self._uri = uri
        self._storage = storage
        self._say = say

    @contextmanager
    def sent(
        self, assignments: Sequence[Assignment], listener: Listener
    ) -> Generator[tuple[list[Assignment], Listener]]:
        """Has the files of trials in the storage while they run.

        Yields the assignments for workers, and a listener that takes a trial's files back before
        the other hears its outcome. What ends without an outcome is taken back at the end.
        """
        with self.sending(listener) as (send, returning):
            yield [send(each) for each in assignments], returning

    @contextmanager
    def sending(
        self, listener: Listener
    ) -> Generator[tuple[Callable[[Assignment], Assignment], Listener]]:
        """Has the files of trials in the storage from when each is sent; otherwise like `sent`.

        Yields what sends a trial's files and returns the assignment for a worker, and the listener.
        """
        sent: dict[str, None] = {}

        def send(assignment: Assignment) -> Assignment:
            trial_id = assignment.trial.trial_id
            mark = self._mark(trial_id)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(self._uri)
            sent[trial_id] = None
            hand_over(assignment, self._storage)
            return replace(assignment, storage=self._uri)

        try:
            yield send, _Returning(listener, self.take_back)
        finally:
            for trial_id in sent:
                if self._mark(trial_id).exists():
                    self.take_back(trial_id)
            with suppress(OSError):
                (self._runs / MARKS).rmdir()  # which it is if it is empty

    def take_back(self, trial_id: str) -> None:
        """Takes a trial's files back; if that fails, the next run does it."""
        try:
            bring_back(trial_folder(self._runs, trial_id), self._storage)
        except OSError as error:
            self._say(f"the files of trial {trial_id} stay in {self._uri} for now: {error}")
        else:
            self._mark(trial_id).unlink(missing_ok=True)

    def _mark(self, trial_id: str) -> Path:
        return self._runs / MARKS / trial_id


class _Returning:
    """A listener that has a trial's files taken back before its outcome is heard."""

    def __init__(self, listener: Listener, take_back: Callable[[str], None]) -> None:
        self._listener = listener
        self._take_back = take_back

    def on_start(self, trial_id: str) -> None:
        self._listener.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self._listener.on_progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        self._take_back(outcome.trial_id)
        self._listener.on_outcome(outcome)
