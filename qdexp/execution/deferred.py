"""An executor that is made only when there is something for it to do: engines import slowly."""

from collections.abc import Callable, Sequence
from functools import cached_property

from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.search_ports import Feed, SearchExecutor


class DeferredExecutor:
    """The executor that `make` returns, made at its first use.

    Args:
        make: Imports an engine and returns its executor.
    """

    def __init__(self, make: Callable[[], SearchExecutor]) -> None:
        self._make = make

    def check(self) -> None:
        """Accepts to run trials here.

        Raises:
            RequestError: The resources asked for do not exist here.
        """
        self._executor.check()

    def execute(
        self, assignments: Sequence[Assignment], listener: Listener, deadline: float | None = None
    ) -> None:
        """Runs every assignment.

        Raises:
            InterruptedRunError: A signal stopped it.
            BudgetSpentError: The deadline came.
        """
        self._executor.execute(assignments, listener, deadline)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        """Runs what a feed gives.

        Raises:
            InterruptedRunError: A signal stopped it.
            BudgetSpentError: The deadline came.
        """
        self._executor.follow(feed, listener, deadline, workers)

    def gpus_of_trial(self) -> float:
        """Returns how many GPUs each trial of a feed holds."""
        return self._executor.gpus_of_trial()

    @cached_property
    def _executor(self) -> SearchExecutor:
        return self._make()
