"""One attempt at a trial: whatever happens in the trainable becomes exactly one outcome."""

import importlib
import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

from qdexp.errors import DivergedError, RequestError
from qdexp.execution.ports import Assignment, Trainable
from qdexp.execution.reports import one_line, plain_outcome, plain_progress, several_lines
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress, Series, Status

Reports = Generator[Progress | Outcome, None, None]
"""Progress, and the outcome last."""


def trainable_reports(assignment: Assignment) -> Generator[object, None, None]:
    """Yields what the assignment's trainable reports."""
    # Delegation passes close() on, and takes any iterator, also one that cannot be closed.
    trainable = trainable_from_name(assignment.trial.trainable)
    yield from trainable(assignment.trial, assignment.workspace)


def attempt(
    assignment: Assignment,
    source: Callable[[Assignment], Generator[object, None, None]] = trainable_reports,
) -> Reports:
    """Runs a trial in this process: yields its progress, then its outcome, last and always.

    What it yields is plain: it can be stored and sent, whatever the trainable made it of. Closing
    it closes the trainable's generator, and then there is no outcome, even if that raises.

    Args:
        assignment: The trial and its folders.
        source: Begins the training; its failures are the trial's.
    """
    started_at = time.time()
    seen = _Seen(trial_id=assignment.trial.trial_id)
    reports = source(assignment)
    try:
        while isinstance(report := _next(reports, seen), Progress):
            yield report
    except GeneratorExit:
        with suppress(Exception, SystemExit, GeneratorExit):
            reports.close()
        raise
    yield replace(report, provenance=report.provenance | _worker(started_at))


def trainable_from_name(name: str) -> Trainable:
    """Imports the generator function that ``package.module:function`` names.

    Raises:
        RequestError: There is no such module or function.
    """
    module_name, _, function_name = name.partition(":")
    expected = f"expected an importable trainable 'package.module:function', found '{name}'"
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise RequestError(f"{expected}: {error}") from error
    if not callable(getattr(module, function_name, None)):
        raise RequestError(f"{expected}: {module_name} has no function '{function_name}'")
    return cast("Trainable", getattr(module, function_name))


@dataclass(kw_only=True)
class _Seen:
    """What an attempt reported so far: all that is known of it when it fails."""

    trial_id: str
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
            failure = Failure(reason=one_line(message), step=step, traceback=trace)
            return self._outcome("diverged", failure)
        first = message.partition("\n")[0]
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
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


def _next(reports: Generator[object, None, None], seen: _Seen) -> Progress | Outcome:
    """Returns the trainable's next report, or the outcome that its failure is."""
    try:
        for report in reports:
            if isinstance(report, Progress):
                progress = plain_progress(report)
                seen.add(progress)
                return progress
            outcome = _examined(plain_outcome(report), seen.trial_id)
            reports.close()
            return outcome
        raise RuntimeError(
            "expected an outcome as the last report of the trainable, found none: yield one when "
            "the training ends"
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a worker's failure is an outcome
        outcome = seen.failed(error)
        with suppress(Exception, SystemExit, GeneratorExit):
            reports.close()
        return outcome


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
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "DefaultCPUAllocator" in message:
        return "out_of_memory"
    return "exception"


def _message(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # noqa: BLE001  whatever it does, it is the trainable's failure
        return "its message cannot be shown"


def _worker(started_at: float) -> dict[str, str | int | float]:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "started_at": started_at,
        "finished_at": time.time(),
    }
