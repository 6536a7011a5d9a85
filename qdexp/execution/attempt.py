"""One attempt at a trial: whatever happens in the trainable becomes exactly one outcome."""

import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from qdexp.config.own_configuration import OwnConfiguration
from qdexp.errors import (
    BudgetSpentError,
    DivergedError,
    TrialTimeoutError,
)
from qdexp.execution.ports import Assignment, Trainable
from qdexp.execution.reports import one_line, plain_outcome, plain_progress, several_lines
from qdexp.execution.trial_log import TrialLog
from qdexp.experiment.declaration import imported
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress, Series, Status
from qdexp.results.provenance import process_provenance

Reports = Generator[Progress | Outcome, None, None]
"""Progress, and the outcome last."""

_NOTHING = object()


Around = Callable[[], AbstractContextManager[object]]
"""What is entered whenever the trainable's own code runs."""


def trainable_reports(assignment: Assignment) -> Generator[object, None, None]:
    """Yields what the assignment's trainable reports."""
    # Delegation passes close() on, and takes any iterator, also one that cannot be closed.
    trainable = trainable_from_name(assignment.trial.trainable)
    yield from trainable(assignment.trial, assignment.workspace)


Source = Callable[[Assignment], Generator[object, None, None]]
"""Begins a training; its failures are the trial's."""


def attempt(
    assignment: Assignment,
    source: Source = trainable_reports,
    *,
    around: Around = nullcontext,
    owns_process: bool = False,
) -> Reports:
    """Runs a trial in this process: yields its progress, then its outcome, last and always.

    What it yields is plain: it can be stored and sent, whatever the trainable made it of. Closing
    it closes the trainable's generator, and then there is no outcome, even if that raises. A
    `TrialTimeoutError` thrown into it does so as well, and is the outcome; it comes by itself at
    the first report beyond the assignment's budget.

    Args:
        assignment: The trial.
        source: Begins the training.
        around: What is entered whenever the trainable's own code runs.
        owns_process: Whether all that this process prints meanwhile belongs to the trial's log.
    """
    folder, rank = assignment.workspace.folder, int(os.environ.get("RANK", "0"))
    with closing(TrialLog(folder, rank=rank, takes_descriptors=owns_process)) as log:
        yield from _Attempt(assignment, source(assignment), log, around).reports()


class _Attempt:
    """A trainable's generator with what surrounds it: its log, its budget, what it has said."""

    def __init__(
        self,
        assignment: Assignment,
        generator: Generator[object, None, None],
        log: TrialLog,
        around: Around,
    ) -> None:
        self._budget = assignment.budget_seconds
        self._log = log
        self._around = around
        is_own = isinstance(assignment.trial.configuration, OwnConfiguration)
        self._seen = _Seen(trial_id=assignment.trial.trial_id, is_own=is_own)
        self._generator = generator
        self._started_at = time.time()
        self._began = time.monotonic()

    def reports(self) -> Reports:
        """Yields progress, then the outcome."""
        self._log.say(f"attempt began on {platform.node()}, process {os.getpid()}")
        try:
            outcome = yield from self._until_outcome()
        except GeneratorExit:
            self._close()
            self._log.say(f"stopped after step {self._seen.step}, without an outcome")
            raise
        self._log.say(_ending(outcome))
        yield replace(
            outcome, provenance=outcome.provenance | _worker(self._started_at, self._began)
        )

    def _until_outcome(self) -> Generator[Progress, None, Outcome]:
        while isinstance(report := self._next(), Progress):
            try:
                yield report
                if self._budget and time.monotonic() - self._began > self._budget:
                    raise TrialTimeoutError(self._budget, "was stopped at its next report")
            except TrialTimeoutError as error:
                self._close()
                return self._seen.failed(error)
        return report

    def _next(self) -> Progress | Outcome:
        """Returns the trainable's next report, or the outcome that its failure is."""
        try:
            with self._running():
                report = next(self._generator, _NOTHING)
                if isinstance(report, Progress):
                    progress = plain_progress(report)
                    self._seen.add(progress)
                    return progress
                if report is _NOTHING:
                    raise RuntimeError(
                        "expected an outcome as the last report of the trainable, found none: "
                        "yield one when the training ends"
                    )
                outcome = _examined(plain_outcome(report), self._seen.trial_id)
                self._generator.close()
                return outcome
        except (KeyboardInterrupt, BudgetSpentError):
            raise
        except BaseException as error:  # noqa: BLE001  a worker's failure is an outcome
            outcome = self._seen.failed(error)
            self._close()
            return outcome

    def _close(self) -> None:
        """Closes the trainable's generator, whatever that raises."""
        with suppress(Exception, SystemExit, GeneratorExit), self._running():
            self._generator.close()

    @contextmanager
    def _running(self) -> Generator[None]:
        with self._around(), self._log.capturing():
            yield


def trainable_from_name(name: str) -> Trainable:
    """Imports the generator function that ``package.module:function`` names.

    Raises:
        RequestError: There is no such module or function.
    """
    return cast("Trainable", imported(name))


@dataclass(kw_only=True)
class _Seen:
    """What an attempt reported so far: all that is known of it when it fails."""

    trial_id: str
    is_own: bool = False
    step: int | None = None
    points: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict[str, list[tuple[int, float]]]
    )

    def add(self, progress: Progress) -> None:
        self.step = progress.step
        for name, value in progress.measurements.items():
            self.points.setdefault(name, []).append((progress.step, value))

    def failed(self, error: BaseException) -> Outcome:
        message = _message(error)
        trace = several_lines("".join(traceback.format_exception(error)))
        if isinstance(error, DivergedError):
            step = error.step if type(error.step) is int and 0 <= error.step < 2**53 else self.step
            reason = f"{error.what} at step {error.step}" if self.is_own else message
            failure = Failure(reason=one_line(reason), step=step, traceback=trace)
            return self._outcome("diverged", failure)
        first = message.partition("\n")[0]
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
        if isinstance(error, TrialTimeoutError):
            reason = first
        kind = _kind(error, message)
        failure = Failure(reason=one_line(reason), kind=kind, step=self.step, traceback=trace)
        return self._outcome("failed", failure)

    def _outcome(self, status: Status, failure: Failure) -> Outcome:
        history = {
            name: Series(steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))
            for name, points in self.points.items()
        }
        return Outcome(
            trial_id=self.trial_id,
            status=status,
            step=failure.step or 0,
            history=history,
            failure=failure,
        )


def _examined(outcome: Outcome, trial_id: str) -> Outcome:
    """Returns the outcome; as diverged where it claims completion with non-finite measurements."""
    if outcome.trial_id != trial_id:
        raise RuntimeError(
            f"expected the outcome of trial {trial_id}, found that of {outcome.trial_id}"
        )
    broken = [
        f"{name} is {value}"
        for name, value in outcome.measurements.items()
        if not math.isfinite(value)
    ]
    if outcome.status != "completed" or not broken:
        return outcome
    failure = Failure(
        reason=one_line(f"{', '.join(broken)} after the last step"), step=outcome.step
    )
    return replace(outcome, status="diverged", failure=failure)


def _kind(error: BaseException, message: str) -> FailureKind:
    # By name, since this module does not import torch, whose CPU allocator has no class of its own.
    if isinstance(error, TrialTimeoutError):
        return "timeout"
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "DefaultCPUAllocator" in message:
        return "out_of_memory"
    return "exception"


def _message(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # noqa: BLE001  whatever it does, it is the trainable's failure
        return "its message cannot be shown"


def _ending(outcome: Outcome) -> str:
    """Returns how an attempt ended, for its log."""
    failure = outcome.failure
    kind = f" ({failure.kind})" if failure and failure.kind else ""
    reason = f": {failure.reason}" if failure else ""
    return f"{outcome.status}{kind} after step {outcome.step}{reason}"


def _worker(started_at: float, began: float) -> dict[str, Any]:
    """Returns where it ran, and how long by a clock that nobody sets."""
    return {
        **process_provenance(),
        "host": platform.node(),
        "pid": os.getpid(),
        "started_at": started_at,
        "finished_at": time.time(),
        "seconds": time.monotonic() - began,
    }
