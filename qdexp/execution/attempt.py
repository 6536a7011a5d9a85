"""One attempt at a trial: whatever happens in the trainable becomes exactly one outcome."""

import importlib
import math
import os
import platform
import time
import traceback
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import cast

from qdexp.errors import DivergedError, RequestError
from qdexp.execution.ports import Assignment, Trainable
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress, Series, Status

Reports = Generator[Progress | Outcome, None, None]
"""Progress, and the outcome last."""


def attempt(assignment: Assignment) -> Reports:
    """Runs a trial in this process: yields its progress, then its outcome, last and always.

    Closing it closes the trainable's generator, and then there is no outcome.
    """
    started_at = time.time()
    seen = _Seen(trial_id=assignment.trial.trial_id)
    try:
        with closing(_reports(assignment)) as reports:
            for report in reports:
                if isinstance(report, Outcome):
                    outcome = _examined(report, seen.trial_id)
                    break
                seen.add(report)
                yield report
            else:
                raise RuntimeError(
                    f"expected an outcome as the last report of {assignment.trial.trainable}, "
                    "found none: yield one when the training ends"
                )
    except DivergedError as error:
        failure = Failure(reason=str(error), step=error.step, traceback=_traceback(error))
        outcome = seen.outcome("diverged", failure)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a worker's failure is an outcome
        failure = Failure(
            reason=_reason(error), kind=_kind(error), step=seen.step, traceback=_traceback(error)
        )
        outcome = seen.outcome("failed", failure)
    yield replace(outcome, provenance=outcome.provenance | _worker(started_at))


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

    def outcome(self, status: Status, failure: Failure) -> Outcome:
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


def _reports(assignment: Assignment) -> Reports:
    # Delegation passes close() on, and takes any iterator, also one that cannot be closed.
    trainable = trainable_from_name(assignment.trial.trainable)
    yield from trainable(assignment.trial, assignment.workspace)


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
    failure = Failure(reason=f"{', '.join(broken)} after the last step", step=outcome.step)
    return replace(outcome, status="diverged", failure=failure)


def _kind(error: BaseException) -> FailureKind:
    # By name, since this module does not import torch, whose CPU allocator has no class of its own.
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "DefaultCPUAllocator" in str(error):
        return "out_of_memory"
    return "exception"


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _worker(started_at: float) -> dict[str, str | int | float]:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "started_at": started_at,
        "finished_at": time.time(),
    }
