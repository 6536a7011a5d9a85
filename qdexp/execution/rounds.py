"""Rounds: what may pass is tried again, what will not is not, and the same error stops it all.

A worker that died or memory that ran out may be somebody else's doing. The outcome is held back
then, and its trial runs again in the next round, from its own last checkpoint.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from qdexp.execution.collaborators import Collaborators
from qdexp.execution.limits import check_deadline
from qdexp.execution.ports import Assignment
from qdexp.execution.same_errors import SameErrors
from qdexp.execution.scribe import Scribe
from qdexp.experiment.spec import Spec
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress

TRANSIENT: frozenset[FailureKind] = frozenset({"worker_lost", "out_of_memory"})
"""Failures that may pass by themselves."""


def back_off_seconds(attempt: int) -> float:
    """Returns how long to wait before attempt 2, 3, ...: 5 s, then four times as long each time."""
    return min(300.0, 5.0 * 4.0 ** min(attempt - 2, 10))


def is_transient(outcome: Outcome) -> bool:
    """Tells whether an attempt ended in what may pass by itself."""
    return outcome.failure is not None and outcome.failure.kind in TRANSIENT


def after_attempts(outcome: Outcome, number: int) -> Outcome:
    """Returns the outcome of a trial that is not tried again; it says after how many attempts."""
    if number == 1 or outcome.failure is None:
        return outcome
    reason = f"{outcome.failure.reason} (attempt {number} of {number})"
    return replace(outcome, failure=replace(outcome.failure, reason=reason))


class Rounds:
    """Brings assignments to their outcomes; a listener between an executor and the scribe.

    Args:
        spec: Whose trials they are: its retries and its budget hold, the latter from now on.
        scribe: Who writes outcomes down.
        outside: The executor, the clock and the display.
        keep_going: Whether to go on where the first trials all fail in the same way.
    """

    def __init__(
        self, spec: Spec, scribe: Scribe, outside: Collaborators, *, keep_going: bool
    ) -> None:
        self._retries = spec.resources.retries
        budget = spec.budget.experiment
        self._deadline = None if budget is None else outside.clock() + budget
        self._scribe = scribe
        self._outside = outside
        self._same = SameErrors(keep_going=keep_going)
        self._attempt = 1
        self._held: dict[str, Outcome] = {}
        self._steps: dict[str, int] = {}
        self._ended: set[str] = set()

    def run(self, assignments: Sequence[Assignment]) -> None:
        """Runs a stage of assignments, each until its outcome is written down.

        Raises:
            SameErrorError: The first trials of the experiment all failed in the same way.
            InterruptedRunError: A signal or the budget stopped it.
        """
        waiting = list(assignments)
        if waiting:
            self._outside.display.on_preparation("workers")
        for self._attempt in count(1):
            if not waiting:
                return
            self._held = {}
            self._outside.executor.execute(waiting, self, self._deadline)
            waiting = [each for each in waiting if each.trial.trial_id in self._held]
            if waiting:
                self._back_off(len(waiting))

    def end_without_attempt(self, outcome: Outcome) -> None:
        """Writes down the outcome of a trial that cannot begin."""
        self._ended.add(outcome.trial_id)
        self._scribe.on_no_attempt(outcome)

    def cancel(self, trial_ids: Sequence[str], reason: str) -> int:
        """Ends those without an outcome; returns the number of those that it cancelled.

        One that waited for another attempt ends as its last one did.
        """
        left = [each for each in trial_ids if each not in self._ended]
        for trial_id in left:
            if trial_id in self._held:
                self._end(self._held[trial_id])
                continue
            failure = Failure(reason=reason)
            step = self._steps.get(trial_id, 0)
            self.end_without_attempt(
                Outcome(trial_id=trial_id, status="cancelled", step=step, failure=failure)
            )
        return sum(each not in self._held for each in left)

    def on_start(self, trial_id: str) -> None:
        """An attempt began."""
        self._scribe.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """A running trial reported."""
        self._steps[trial_id] = progress.step
        self._scribe.on_progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        """An attempt ended: it is held back if it may pass, else written down.

        Raises:
            SameErrorError: It failed as all the others did, and is the last of the first.
        """
        if is_transient(outcome):
            if self._attempt <= self._retries:
                self._held[outcome.trial_id] = outcome
                return
            outcome = after_attempts(outcome, self._attempt)
        self._end(outcome)
        self._same.hear(outcome)

    def _end(self, outcome: Outcome) -> None:
        self._ended.add(outcome.trial_id)
        self._scribe.on_outcome(outcome)

    def _back_off(self, num_waiting: int) -> None:
        """Waits before the next round.

        Raises:
            BudgetSpentError: The experiment's budget ends before.
        """
        seconds = back_off_seconds(self._attempt + 1)
        check_deadline(self._deadline, self._outside.clock() + seconds)
        trials = "a trial" if num_waiting == 1 else f"{num_waiting} trials"
        self._outside.display.on_preparation(
            f"attempt {self._attempt + 1} of {self._retries + 1}, in {seconds:g} s, for {trials} "
            "whose worker was lost or ran out of memory"
        )
        self._outside.pause(seconds)
