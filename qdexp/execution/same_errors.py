"""The same error of the first trials, which stops an experiment: the others would have it too."""

from qdexp.errors import SameErrorError
from qdexp.results.outcome import Outcome

NUM_SAME = 3
"""So many first trials that fail in the same way stop an experiment."""


class SameErrors:
    """Hears how the first trials of an experiment end.

    Args:
        keep_going: Whether to go on all the same.
    """

    def __init__(self, *, keep_going: bool) -> None:
        self._keep_going = keep_going
        self._first: list[str] = []

    @property
    def is_suspicious(self) -> bool:
        """Tells whether all so far failed in the same way, and they are too few to stop at."""
        few = 0 < len(self._first) < NUM_SAME
        return few and not self._keep_going and self._are_the_same()

    def hear(self, outcome: Outcome) -> None:
        """A trial ended for good.

        Raises:
            SameErrorError: It failed as all the others did, and is the last of the first.
        """
        if self._keep_going or len(self._first) >= NUM_SAME:
            return
        self._first.append(_error(outcome))
        if len(self._first) == NUM_SAME and self._are_the_same():
            raise SameErrorError(
                f"stopped, since the first {NUM_SAME} trials all failed with the same error, "
                f"{self._first[0]}; mend it and give the same command again, or go on all the same "
                "with --keep-going"
            )

    def _are_the_same(self) -> bool:
        return bool(self._first[0]) and len(set(self._first)) == 1


def _error(outcome: Outcome) -> str:
    """Returns how a trial failed, equal for equal failures of different trials, or nothing."""
    if outcome.status != "failed" or outcome.failure is None:
        return ""
    first_line = outcome.failure.reason.partition("\n")[0]
    reason = first_line.replace(outcome.trial_id, "its trial")
    return f"{outcome.failure.kind}: {reason}" if outcome.failure.kind else reason
