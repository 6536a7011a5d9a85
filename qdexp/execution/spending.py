"""What a search has spent of its budget, and how long its trials run."""

from collections.abc import Callable, Sequence
from math import inf

from qdexp.experiment.counting import counted
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.suggestions import SuggestionRecord, TimeSpent

HOUR = 3600.0


def num_paid(records: Sequence[SuggestionRecord]) -> int:
    """Returns how many suggestions a budget of trials pays for: what was found costs nothing."""
    return sum(record.suggestion.origin != "ledger" for record in records)


def configurations_left(spec: SearchSpec, records: Sequence[SuggestionRecord]) -> int | None:
    """Returns how many more a budget of trials pays for, or None where time alone counts."""
    most = spec.most_configurations
    return None if most is None else max(0, most - num_paid(records))


def why_spent(spec: SearchSpec, records: Sequence[SuggestionRecord], spent: TimeSpent) -> str:
    """Returns which part of the budget is spent, in words, or nothing while all have some left."""
    budget, seeds = spec.budget, len(spec.spec.seeds)
    if budget.trials is not None and not configurations_left(spec, records):
        number = num_paid(records) * seeds
        if number > budget.trials:  # it was larger in another call
            return f"{counted(number, 'trial')} (of a budget of {budget.trials})"
        rest = budget.trials - number
        few = f" ({rest} {'is' if rest == 1 else 'are'} too few for {seeds} seeds)" if rest else ""
        return f"{number} of {counted(budget.trials, 'trial')}{few}"
    for limit, seconds, unit in (
        (budget.hours, spent.seconds, "hours"),
        (budget.gpu_hours, spent.gpu_seconds, "GPU-hours"),
    ):
        if limit is not None and seconds >= limit * HOUR:
            return f"{seconds / HOUR:.3g} of {limit:g} {unit}"
    return ""


def seconds_left(
    spec: SearchSpec, spent: TimeSpent, *, num_gpus: float, side_by_side: int
) -> float:
    """Returns how long a search may go on by its budget of hours; infinite without one.

    Args:
        spec: The search.
        spent: What it has spent.
        num_gpus: GPUs of each trial.
        side_by_side: Trials at one time.
    """
    limits: list[float] = []
    if spec.budget.hours is not None:
        limits.append(spec.budget.hours * HOUR - spent.seconds)
    if spec.budget.gpu_hours is not None and num_gpus:
        left = spec.budget.gpu_hours * HOUR - spent.gpu_seconds
        limits.append(left / (num_gpus * side_by_side))
    return max(0.0, min(limits, default=inf))


class Meter:
    """Measures how long trials run.

    Args:
        num_gpus: Tells the GPUs of each, once one has begun.
        clock: Monotonic seconds.
    """

    def __init__(self, num_gpus: Callable[[], float], clock: Callable[[], float]) -> None:
        self._num_gpus = num_gpus
        self._clock = clock
        self._running: set[str] = set()
        self._since = clock()
        self._untaken = TimeSpent()

    def start(self, trial_id: str) -> None:
        """A trial began."""
        self._advance()
        self._running.add(trial_id)

    def end(self, trial_id: str) -> None:
        """A trial ended."""
        self._advance()
        self._running.discard(trial_id)

    def untaken(self) -> TimeSpent:
        """Returns what was spent since `take` was last called."""
        self._advance()
        return self._untaken

    def take(self) -> TimeSpent:
        """Returns what was spent since the last call."""
        taken, self._untaken = self.untaken(), TimeSpent()
        return taken

    def _advance(self) -> None:
        now = self._clock()
        seconds, self._since = now - self._since, now
        if self._running:
            gpu_seconds = seconds * len(self._running) * self._num_gpus()
            self._untaken += TimeSpent(seconds=seconds, gpu_seconds=gpu_seconds)
