"""The order of a plan's trials: what learns from another trial, or continues it, comes after it."""

from collections.abc import Iterator

from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, Outcome


def stages(plan: Plan) -> Iterator[tuple[PlannedTrial, ...]]:
    """Yields the trials to run, stage by stage; each waits for trials of earlier stages only."""
    waiting = list(plan.to_run)
    while waiting:
        unfinished = {planned.trial.trial_id for planned in waiting}
        stage = tuple(each for each in waiting if each.waits_for not in unfinished)
        waiting = [each for each in waiting if each.waits_for in unfinished]
        yield stage


def without_teacher(student: Trial, teacher: Outcome) -> Outcome:
    """Returns the outcome of a trial whose teacher did not complete: it ends as its teacher did.

    So it is tried again exactly when the teacher is.
    """
    reason = teacher.failure.reason if teacher.failure else "no reason is known"
    return Outcome(
        trial_id=student.trial_id,
        status=teacher.status,
        step=0,
        failure=Failure(
            reason=f"its teacher, trial {teacher.trial_id}, {teacher.status}: {reason}"
        ),
    )
