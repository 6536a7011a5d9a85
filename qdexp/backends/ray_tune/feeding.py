# pyright: basic
"""A search as Tune sees it: a searcher that gives trials, and a scheduler that ends some early."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from qdexp.backends.ray_tune.relay import WORKER, Relay, trial_id_of
from qdexp.execution.limits import CLOSING_SECONDS
from qdexp.execution.ports import Assignment
from qdexp.execution.search_ports import Feed


def content_of(assignment: Assignment) -> dict[str, str]:
    """Returns what Tune's configuration of a trial holds: plain text."""
    return {"trial_id": assignment.trial.trial_id, "assignment": assignment.to_json()}


class FeedSearcher(Searcher):
    """Gives Tune what a feed gives.

    Args:
        feed: The feed.
        send: Sends a trial's files where workers find them; returns the assignment for them.
    """

    def __init__(self, feed: Feed, send: Callable[[Assignment], Assignment]) -> None:
        super().__init__()
        self._feed = feed
        self._send = send
        self._given: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles what it is given for a restore that never comes."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next trial's configuration; FINISHED if nothing comes and nothing runs."""
        assignment = self._feed.take()
        if assignment is None:
            return None if self._given else Searcher.FINISHED
        self._given.add(trial_id)
        return {"content": content_of(self._send(assignment))}

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,  # noqa: ARG002 - the listener has heard it
        error: bool = False,  # noqa: ARG002, FBT001, FBT002 - Tune's signature
    ) -> None:
        """Takes note that a trial runs no more."""
        self._given.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: what was suggested is in the ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Restores nothing."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Saves nothing."""


class FeedScheduler(FIFOScheduler):
    """Ends the trials that a feed wants ended, with their workers kept for others.

    Args:
        feed: The feed.
        relay: Tells the listener what a worker reported, before the feed is asked.
    """

    def __init__(self, feed: Feed, relay: Relay) -> None:
        super().__init__()
        self._feed = feed
        self._relay = relay

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: as of a `FeedSearcher`."""
        return {}

    def on_trial_result(
        self,
        tune_controller: Any,  # noqa: ANN401, ARG002 - Tune's signature
        trial: TuneTrial,
        result: dict[str, Any],
    ) -> str:
        """Decides whether a trial goes on; asked before Tune's callbacks hear its result."""
        self._relay.hear(trial, result)
        if "outcome" in result:
            return TrialScheduler.CONTINUE
        outcome = self._feed.pruned(trial_id_of(trial))
        if outcome is None:
            return TrialScheduler.CONTINUE
        _close(result[WORKER])
        self._relay.end(trial, outcome)
        return TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> None:  # noqa: ANN401, ARG002
        """Prefers no trial: a warm worker takes the one that was given last.

        The first of those that wait has asked for a worker of its own, which Tune would start in
        vain: where trials end sooner than processes start, one after another, for ever.
        """
        return


def _close(worker: ActorHandle) -> None:
    """Has a worker close its trial at a safe point, before its outcome is heard.

    Tune itself would have it closed when the worker takes up another trial: its checkpoint would
    come after its outcome. Between two of its steps a worker waits, so that it answers at once.
    """
    with suppress(RayError):  # one that is lost, or takes too long, leaves its former checkpoint
        ray.get(worker.close_trial.remote(), timeout=CLOSING_SECONDS)
