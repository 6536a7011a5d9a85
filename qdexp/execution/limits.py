"""How long things may take, and how long one waits for a safe point that does not come."""

import time

from qdexp.errors import BudgetSpentError

CLOSING_SECONDS = 10.0
"""Running trials have this long to reach a safe point when a run stops."""


def grace_seconds(budget: float) -> float:
    """Returns how long after its budget a trial that does not report is interrupted.

    Between both it may still report, and then stops at a safe point with a checkpoint.
    """
    return min(30.0, max(1.0, budget / 10))


def check_deadline(deadline: float | None, now: float | None = None) -> None:
    """Does nothing before the deadline, in seconds of `time.monotonic`.

    Raises:
        BudgetSpentError: It has passed.
    """
    if deadline is not None and (time.monotonic() if now is None else now) >= deadline:
        raise BudgetSpentError(
            "stopped, since the experiment's budget of time is spent: what is finished is kept, "
            "and the same command goes on from there with the same budget again; raise "
            "budget.experiment in the spec for a longer run"
        )
