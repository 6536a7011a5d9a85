"""Runs trials in this process, one after another: for tests, debugging and single machines."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from types import FrameType

from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import RequestError, TrialTimeoutError
from qdexp.execution.attempt import attempt
from qdexp.execution.limits import CLOSING_SECONDS, check_deadline, grace_seconds
from qdexp.execution.machine import num_gpus
from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.search_ports import Feed
from qdexp.experiment.spec import Resources
from qdexp.results.outcome import Outcome


class InlineExecutor:
    """The executor without workers.

    Args:
        resources: What every trial asks for.
    """

    def __init__(self, *, resources: Resources | None = None) -> None:
        self._resources = resources or Resources()

    def check(self) -> None:
        """Accepts whatever one process can do: this one has what it has.

        Raises:
            RequestError: A trial asks for several processes.
        """
        if self._resources.processes > 1:
            raise RequestError(
                "resources.processes: expected 1 with --executor inline, which has this process "
                f"only, found {self._resources.processes}: leave --executor out, and Ray runs them"
            )

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        """Runs every assignment in its order; a trial's failure is an outcome.

        Raises:
            InterruptedRunError: A signal stopped it, at the trainable's next report.
            BudgetSpentError: The deadline did.
        """
        with StopSignal() as stop:
            for assignment in assignments:
                check_deadline(deadline)
                _run(assignment, listener, stop, deadline)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,  # noqa: ARG002 - there is one
    ) -> None:
        """Runs what `feed` gives, one after another.

        Raises:
            InterruptedRunError: A signal stopped it, at the trainable's next report.
            BudgetSpentError: The deadline did.
        """
        with StopSignal() as stop:
            while (assignment := feed.take()) is not None:
                stop.check()
                check_deadline(deadline)
                _run(assignment, listener, stop, deadline, feed.pruned)

    def gpus_of_trial(self) -> float:
        """Returns how many GPUs each trial of a feed holds: one if there is one, unless asked."""
        gpus = self._resources.gpus
        return float(min(1, num_gpus())) if gpus is None else gpus


def _never(_trial_id: str) -> None:
    return None


def _run(
    assignment: Assignment,
    listener: Listener,
    stop: StopSignal,
    deadline: float | None,
    pruned: Callable[[str], Outcome | None] = _never,
) -> None:
    trial_id = assignment.trial.trial_id
    listener.on_start(trial_id)
    alarm = _Alarm(assignment.budget_seconds, deadline)
    with alarm.set(), closing(attempt(assignment, around=alarm.watching)) as reports:
        for report in reports:
            if isinstance(report, Outcome):
                listener.on_outcome(report)
                stop.check()
            else:
                listener.on_progress(trial_id, report)
                if outcome := pruned(trial_id):
                    reports.close()
                    listener.on_outcome(outcome)
                    return
                stop.check()
                check_deadline(deadline)


class _Alarm:
    """Interrupts a trainable that does not report, once it should have stopped long ago.

    Python obeys the timer's signal between two of its own instructions, in the main thread only:
    elsewhere there is no alarm, and compiled code that never returns is not interrupted.

    Args:
        budget: Seconds that the attempt may take, or None.
        deadline: When the whole run is to stop, in seconds of `time.monotonic`, or None.
    """

    def __init__(self, budget: float | None, deadline: float | None) -> None:
        self._budget = budget
        self._late = time.monotonic() + budget + grace_seconds(budget) if budget else None
        self._last = None if deadline is None else deadline + CLOSING_SECONDS
        self._is_watching = False

    @contextmanager
    def set(self) -> Generator[None]:
        """Lets time run."""
        due = min((each for each in (self._late, self._last) if each is not None), default=None)
        if due is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        former = signal.signal(signal.SIGALRM, self._ring)
        # Again every second: a trainable may catch what the first one raises.
        signal.setitimer(signal.ITIMER_REAL, max(0.001, due - time.monotonic()), 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Lets the alarm interrupt what runs meanwhile, and nothing else."""
        self._is_watching = True
        try:
            yield
        finally:
            self._is_watching = False

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_watching:
            return
        now = time.monotonic()
        if self._budget and self._late and now >= self._late:
            raise TrialTimeoutError(self._budget, "reported nothing: it was interrupted")
        check_deadline(self._last, now)
