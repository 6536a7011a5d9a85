"""Trials that a search has yet to run: in order, some after others, some not before a time."""

from collections.abc import Callable
from dataclasses import dataclass

from qdexp.experiment.plan import PlannedTrial


@dataclass(frozen=True, kw_only=True)
class _PutOff:
    planned: PlannedTrial
    until: float


class Waiting:
    """The trials that are to run.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._planned: dict[str, PlannedTrial] = {}
        self._put_off: dict[str, _PutOff] = {}
        self._unfinished: set[str] = set()

    def add(self, planned: PlannedTrial) -> None:
        """Adds a trial behind the others, unless it is here or runs already."""
        trial_id = planned.trial.trial_id
        if trial_id not in self._unfinished:
            self._unfinished.add(trial_id)
            self._planned[trial_id] = planned

    def put_off(self, planned: PlannedTrial, seconds: float) -> None:
        """Takes a trial back that may be tried again after a while."""
        later = _PutOff(planned=planned, until=self._clock() + seconds)
        self._put_off[planned.trial.trial_id] = later

    def first(self) -> PlannedTrial | None:
        """Returns the trial that comes next, or None if none of them can begin now."""
        now = self._clock()
        due = [each.planned for each in self._put_off.values() if each.until <= now]
        able = [each for each in self._planned.values() if each.waits_for not in self._unfinished]
        return next(iter([*due, *able]), None)

    def take(self, planned: PlannedTrial) -> None:
        """A trial begins."""
        self._planned.pop(planned.trial.trial_id, None)
        self._put_off.pop(planned.trial.trial_id, None)

    def end(self, trial_id: str) -> None:
        """A trial ended: those that wait for it can begin."""
        self.cancel(trial_id)
        self._unfinished.discard(trial_id)

    def cancel(self, trial_id: str) -> bool:
        """Takes a trial out that has not begun; returns whether it was here."""
        was_planned = self._planned.pop(trial_id, None) is not None
        was_put_off = self._put_off.pop(trial_id, None) is not None
        return was_planned or was_put_off

    @property
    def is_blocked(self) -> bool:
        """Tells whether a trial waits for another one."""
        return bool(self._planned)

    def seconds(self) -> float | None:
        """Returns when the first of those that were put off is due, or None if there are none."""
        untils = [each.until for each in self._put_off.values()]
        return max(0.0, min(untils) - self._clock()) if untils else None
