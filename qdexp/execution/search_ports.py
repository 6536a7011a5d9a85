"""What the use case of searching needs from the outside, as Protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qdexp.execution.ports import Assignment, Checked, Executor, Listener
from qdexp.experiment.trial import Condition
from qdexp.results.outcome import Outcome
from qdexp.results.suggestions import SuggestionRecord


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """What a suggester found.

    Args:
        values: A value for every parameter that acts, by field, in the space's order.
        attributes: What the suggester has to be told of it again, plain JSON.
    """

    values: Condition
    attributes: Mapping[str, Any]


class Suggester(Protocol):
    """Says where to look next: a function of what is known, and of nothing else."""

    def suggest(
        self, history: Sequence[SuggestionRecord], accepts: Callable[[Condition], bool]
    ) -> Suggested | None:
        """Returns the next configuration to try; equal arguments, equal answers.

        Args:
            history: All suggestions so far in order, those that still run among them.
            accepts: Whether values satisfy the space's `where` and were not suggested before.

        Returns:
            What `accepts` accepts, or None if no such values were found.
        """
        ...


class StudyMirror(Protocol):
    """Shows a search in a tool for browsing studies. Its failures never stop a search."""

    def show(self, history: Sequence[SuggestionRecord]) -> Checked:
        """Makes the mirror show what the ledger knows of a search: all of it, each thing once."""
        ...


class Feed(Protocol):
    """Gives trials one by one, and may end them early: what a search is to an executor."""

    def take(self) -> Assignment | None:
        """Returns what to run next, or None if there is nothing before a running trial ends.

        Where none runs, None means that nothing comes any more.
        """
        ...

    def pruned(self, trial_id: str) -> Outcome | None:
        """Returns the outcome of a running trial that is to end now; asked after each report.

        The executor closes the trial at a safe point, and lets the listener hear this outcome.
        """
        ...


class SearchExecutor(Executor, Protocol):
    """An executor that also runs trials that are not all known beforehand."""

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        """Runs what `feed` gives until it gives nothing more; otherwise like `execute`.

        Args:
            feed: Asked whenever a worker is free; calls to it and to `listener` never overlap.
            listener: Who hears of trials.
            deadline: When to stop as at a signal, in seconds of `time.monotonic`.
            workers: Trials at one time, at most; None for as many as fit.

        Raises:
            InterruptedRunError: A signal stopped it; trials without an outcome are resumable.
            BudgetSpentError: The deadline did.
        """
        ...

    def gpus_of_trial(self) -> float:
        """Returns how many GPUs each trial of a feed holds; asked when the first one has begun."""
        ...
