"""Runs trials in this process, one after another: for tests, debugging and single machines."""

from collections.abc import Sequence
from contextlib import closing

from qdexp.backends.stop_signal import StopSignal
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment, Listener
from qdexp.results.outcome import Outcome


class InlineExecutor:
    """The executor without workers."""

    def check(self) -> None:
        """Accepts: this process has what it has."""

    def execute(self, assignments: Sequence[Assignment], listener: Listener) -> None:
        """Runs every assignment in its order; a trial's failure is an outcome.

        Raises:
            InterruptedRunError: A signal stopped it, at the trainable's next report.
        """
        with StopSignal() as stop:
            for assignment in assignments:
                _run(assignment, listener, stop)


def _run(assignment: Assignment, listener: Listener, stop: StopSignal) -> None:
    trial_id = assignment.trial.trial_id
    listener.on_start(trial_id)
    with closing(attempt(assignment)) as reports:
        for report in reports:
            if isinstance(report, Outcome):
                listener.on_outcome(report)
            else:
                listener.on_progress(trial_id, report)
            stop.check()
