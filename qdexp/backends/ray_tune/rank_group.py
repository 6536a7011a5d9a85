# pyright: basic
"""The processes that share a trial, as one: they advance together, and end together.

None of them follows the others. A process that waits in an exchange for one that failed cannot
say so, and would wait for half an hour; here somebody is always free to hear of it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from qdexp.backends.ray_tune.rank import Rank, report_of
from qdexp.errors import TrialTimeoutError
from qdexp.execution.attempt import Reports
from qdexp.execution.limits import CLOSING_SECONDS, grace_seconds
from qdexp.execution.ports import Assignment
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress

SETTLING_SECONDS = 5.0
"""How long the others are heard after a first failure: a death explains the others' errors."""


class RankGroup:
    """Runs trials, one after another, in as many processes as there are bundles.

    Args:
        bundles: The resources of each process, in the order of the placement group's.
    """

    def __init__(self, bundles: Sequence[dict[str, float]]) -> None:
        self._bundles = bundles
        self._ranks: list[Any] = []
        self._trial_id = ""
        self._last: Progress | None = None
        self._budget: float | None = None

    def attempt(self, assignment: Assignment) -> Reports:
        """Runs a trial: yields the first process's progress, then the outcome of all.

        Closing it closes the trial in all of them, at the same report.
        """
        self._trial_id, self._last = assignment.trial.trial_id, None
        self._budget = budget = assignment.budget_seconds
        # Their clocks differ, and all must stop at the same report: time is told here. It begins
        # when they have met, which on a busy machine takes longer than some trials.
        ended = self._start()
        began = time.monotonic()
        late = None if budget is None else began + budget + grace_seconds(budget)
        if ended is None:
            text = replace(assignment, budget_seconds=None).to_json()
            _, ended = self._all("begin", text, late=late)
        try:
            while ended is None:
                progress, ended = self._advance(late)
                if progress is not None:
                    self._last = progress
                    yield progress
                    if budget is not None and time.monotonic() - began > budget:
                        ended = self._time_out(budget)
        except GeneratorExit:
            self._close()
            raise
        if ended.status != "completed":
            self.end()
        facts = {"processes": len(self._bundles)}
        yield replace(ended, provenance=ended.provenance | facts)

    def end(self) -> None:
        """Ends the processes."""
        for rank in self._ranks:
            ray.kill(rank)
        self._ranks = []

    def _start(self) -> Outcome | None:
        """Starts the processes, unless they are there from the trial before."""
        if self._ranks:
            return None
        group = ray.util.get_current_placement_group()
        assert group is not None, "Tune places every trial"
        self._ranks = [
            ray.remote(Rank)
            .options(
                num_cpus=bundle.get("CPU", 0),
                num_gpus=bundle.get("GPU", 0),
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=group, placement_group_bundle_index=index
                ),
            )
            .remote()
            for index, bundle in enumerate(self._bundles)
        ]
        addresses, ended = self._all("address", late=None)
        if ended is not None:
            return ended
        joining = [
            rank.join.remote(index, len(self._ranks), addresses[0])
            for index, rank in enumerate(self._ranks)
        ]
        return self._gathered(joining, None)[1]

    def _all(
        self, method: str, *arguments: object, late: float | None
    ) -> tuple[list[Any], Outcome | None]:
        futures = [getattr(rank, method).remote(*arguments) for rank in self._ranks]
        return self._gathered(futures, late)

    def _gathered(self, futures: list[Any], late: float | None) -> tuple[list[Any], Outcome | None]:
        """Returns what all processes answer, or the outcome that ended the trial meanwhile."""
        answers: list[Any] = [None] * len(futures)
        lost: dict[int, Outcome] = {}
        failed: dict[int, Outcome] = {}
        pending = {future: rank for rank, future in enumerate(futures)}
        until = late
        while pending:
            seconds = None if until is None else max(0.0, until - time.monotonic())
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=seconds)
            if not ready:
                break
            rank = pending.pop(ready[0])
            try:
                answers[rank] = ray.get(ready[0])
                failure = _failure_of(rank, answers[rank])
                failed |= {rank: failure} if failure else {}
            except RayActorError as error:
                lost[rank] = self._lost(rank, error)
            except RayError as error:
                what = str(error).strip().rpartition("\n")[2]
                failed[rank] = self._failure(f"{what} (in rank {rank})", "exception", str(error))
            if lost or failed:
                settled = time.monotonic() + SETTLING_SECONDS
                until = settled if until is None else min(until, settled)
        causes = lost or failed
        if causes:
            return answers, causes[min(causes)]
        return answers, self._stuck() if pending else None

    def _advance(self, late: float | None) -> tuple[Progress | None, Outcome | None]:
        """Lets all processes go on to their next report: the first one's, unless they part."""
        answers, ended = self._all("step", late=late)
        if ended is not None:
            return None, ended
        reports = [report_of(answer) for answer in answers]
        first = reports[0]
        if any(isinstance(each, Outcome) is not isinstance(first, Outcome) for each in reports):
            what = "expected as many reports of every process, found that some ended before others"
            return None, self._failure(what, "exception")
        return (None, first) if isinstance(first, Outcome) else (first, None)

    def _time_out(self, budget: float) -> Outcome:
        """Closes the trial in all processes, for it has spent its budget."""
        answers, ended = self._all(
            "time_out", budget, late=time.monotonic() + grace_seconds(budget)
        )
        if answers[0] is not None:
            return Outcome.from_json(answers[0]["outcome"])
        return ended or self._stuck()

    def _close(self) -> None:
        """Closes the trial in all processes at once, since saving may need them all."""
        futures = [rank.close.remote() for rank in self._ranks]
        ray.wait(futures, num_returns=len(futures), timeout=CLOSING_SECONDS)

    def _stuck(self) -> Outcome:
        error = TrialTimeoutError(self._budget or 0.0, "reported nothing: its processes were ended")
        return self._failure(str(error), "timeout")

    def _lost(self, rank: int, error: RayActorError) -> Outcome:
        reason = f"rank {rank} of its {len(self._bundles)} processes died"
        return self._failure(reason, "worker_lost", str(error))

    def _failure(self, reason: str, kind: FailureKind, trace: str = "") -> Outcome:
        step = self._last.step if self._last else None
        return Outcome(
            trial_id=self._trial_id,
            status="failed",
            step=step or 0,
            failure=Failure(reason=reason, kind=kind, step=step, traceback=trace),
        )


def _failure_of(rank: int, answer: Any) -> Outcome | None:  # noqa: ANN401 - whatever a rank sends
    """Returns the outcome that a rank answered with, if it is not a completion."""
    if not isinstance(answer, dict) or "outcome" not in answer:
        return None
    outcome = Outcome.from_json(answer["outcome"])
    if outcome.failure is None:
        return None
    if rank == 0:
        return outcome
    reason = f"{outcome.failure.reason} (in rank {rank})"
    return replace(outcome, failure=replace(outcome.failure, reason=reason))
