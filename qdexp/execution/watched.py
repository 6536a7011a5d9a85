"""A trial of a search while it runs: what it reported, for when the search ends it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qdexp.experiment.plan import PlannedTrial
from qdexp.results.outcome import Failure, Outcome, Progress, Series, Status

Points = dict[str, list[tuple[int, float]]]


@dataclass(kw_only=True)
class Watched:
    """An attempt that runs.

    Args:
        planned: The trial.
        began: When, in monotonic seconds.
        is_fresh: Whether all that it measured is known: it begins at its first step, or told so.
        started_at: When, in seconds since 1970.
        step: Steps that it reported.
        has_reported: Whether it reported at all.
        points: What it reported in this attempt.
        judged: The steps of pruning at which it was judged.
        broken: Why it cannot be compared with others any more, or nothing.
    """

    planned: PlannedTrial
    began: float
    is_fresh: bool = False
    started_at: float = field(default_factory=time.time)
    step: int = 0
    has_reported: bool = False
    points: Points = field(default_factory=Points)
    judged: set[int] = field(default_factory=set[int])
    broken: str = ""

    def hear(self, progress: Progress) -> None:
        """It reported."""
        self.step, self.has_reported = progress.step, True
        for name, value in progress.measurements.items():
            self.points.setdefault(name, []).append((progress.step, value))

    def is_first_at(self, rung: int, step: int) -> bool:
        """Tells whether a report is the trial's first since a rung, as far as can be known.

        One that goes on from beyond the rung may have reported there before without being heard:
        what it reports next is of a later step, and no match for what others had at the rung.

        Args:
            rung: The step at which trials are compared.
            step: That of the report, which is not heard yet.
        """
        return step == rung or self.is_fresh or (self.has_reported and self.step < rung)

    def ended(self, status: Status, reason: str, clock: Callable[[], float]) -> Outcome:
        """Returns the outcome of an attempt that the search ended."""
        return Outcome(
            trial_id=self.planned.trial.trial_id,
            status=status,
            step=self.step,
            history={
                name: Series(steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))
                for name, points in self.points.items()
            },
            failure=Failure(reason=reason, step=self.step),
            provenance={
                "started_at": self.started_at,
                "finished_at": time.time(),
                "seconds": clock() - self.began,
            },
        )
