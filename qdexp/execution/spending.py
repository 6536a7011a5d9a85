"""What a search has spent of its budget, and how long its trials run."""

from collections.abc import Callable, Sequence

from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.suggestions import SuggestionRecord, TimeSpent

HOUR = 3600.0


def num_paid(records: Sequence[SuggestionRecord]) -> int:
    """Returns how many suggestions a budget of trials pays for: what was found costs nothing."""
    return sum(record.suggestion.origin != "ledger" for record in records)


def why_spent(spec: SearchSpec, records: Sequence[SuggestionRecord], spent: TimeSpent) -> str:
    """Returns which part of the budget is spent, in words, or nothing while all have some left."""
    budget, seeds = spec.budget, len(spec.spec.seeds)
    if num_paid(records) >= spec.most_configurations:
        return f"{num_paid(records) * seeds} of {budget.trials} trials"
    for limit, seconds, unit in (
        (budget.hours, spent.seconds, "hours"),
        (budget.gpu_hours, spent.gpu_seconds, "GPU-hours"),
    ):
        if limit is not None and seconds >= limit * HOUR:
            return f"{seconds / HOUR:.3g} of {limit:g} {unit}"
    return ""


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
