# pyright: basic
"""Tells the listener, in the driver, what Tune hears from its workers."""

import time
from dataclasses import replace
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from qdexp.backends.ray_tune.memory_kills import memory_kills
from qdexp.backends.ray_tune.pulse import Pulse
from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import TrialTimeoutError
from qdexp.execution.limits import check_deadline, grace_seconds
from qdexp.execution.ports import Assignment, Listener
from qdexp.results.outcome import Failure, Outcome, Progress

WORKER = "worker"
"""Where a worker says who it is, so that its trial can be closed."""


class Relay(tune.Callback):
    """Tells the listener, in the driver, what Tune hears from its workers."""

    def __init__(self, listener: Listener, stop: StopSignal, deadline: float | None = None) -> None:
        self._listener = listener
        self._stop = stop
        self._deadline = deadline
        self._pulse = Pulse()
        self._ended: set[str] = set()  # Tune's ids: a trial may run again
        self._heard: dict[str, int] = {}
        self._started: dict[str, tuple[float, int | None]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles its callbacks for a restore that never comes."""
        return {}

    def on_step_begin(self, **_info: object) -> None:
        """Stops the experiment: a signal came, its budget is spent, or nothing can run it."""
        self._stop.check()
        check_deadline(self._deadline)
        self._pulse.check()

    def on_trial_start(self, trial: TuneTrial, **_info: object) -> None:
        """An attempt began."""
        # Only of this machine is it known whether its kernel killed.
        kills = memory_kills() if len(ray.nodes()) == 1 else None
        self._started[trial_id_of(trial)] = time.monotonic(), kills
        self._listener.on_start(trial_id_of(trial))

    def on_trial_result(self, trial: TuneTrial, result: dict[str, Any], **_info: object) -> None:
        """A worker handed over what its trial reported."""
        self.hear(trial, result)
        result.pop(WORKER, None)  # or Tune would keep it with what it writes down of the trial

    def hear(self, trial: TuneTrial, result: dict[str, Any]) -> None:
        """Tells what a worker handed over, once, whoever hears of it first."""
        iteration = result["training_iteration"]
        if self._heard.get(trial.trial_id) == iteration:
            return
        self._heard[trial.trial_id] = iteration
        for progress in result["progress"]:
            self._listener.on_progress(trial_id_of(trial), Progress(**progress))
        if "outcome" in result:
            self.end(trial, Outcome.from_json(result["outcome"]))

    def on_trial_error(self, trial: TuneTrial, **_info: object) -> None:
        """A worker died, unless its trial had ended and it was meant to."""
        if trial.trial_id not in self._ended:
            self.end(trial, self._lost(trial))

    def end(self, trial: TuneTrial, outcome: Outcome) -> None:
        """Tells how a trial ended."""
        self._ended.add(trial.trial_id)
        self._listener.on_outcome(outcome)

    def _lost(self, trial: TuneTrial) -> Outcome:
        """Returns the outcome of a trial whose worker died, with what can be known of why."""
        trial_id = trial_id_of(trial)
        started, kills = self._started.get(trial_id, (time.monotonic(), None))
        seconds = time.monotonic() - started
        budget = Assignment.from_json(trial.config["content"]["assignment"]).budget_seconds
        failure = failure_of_lost(
            seconds, budget, killed_for_memory=_has_risen(kills, memory_kills())
        )
        failure = replace(failure, traceback=str(trial.get_pickled_error()))
        return Outcome(trial_id=trial_id, status="failed", step=0, failure=failure)


def failure_of_lost(seconds: float, budget: float | None, *, killed_for_memory: bool) -> Failure:
    """Returns why a worker was lost, from what is known.

    Args:
        seconds: How long the attempt took.
        budget: What it might take; a worker that lives much longer ends itself.
        killed_for_memory: Whether the kernel killed a process of this machine meanwhile.
    """
    if budget is not None and seconds >= budget + grace_seconds(budget) / 2:
        error = TrialTimeoutError(budget, "reported nothing: its worker was ended")
        return Failure(reason=str(error), kind="timeout")
    if killed_for_memory:
        return Failure(
            reason="its worker died while the kernel killed a process here for want of memory: "
            "lower training.batch_size, or raise resources.cpus so that fewer trials run at once",
            kind="out_of_memory",
        )
    return Failure(
        reason="its worker died, or its machine: its log may say why, or the machine's kernel log",
        kind="worker_lost",
    )


def _has_risen(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def trial_id_of(trial: TuneTrial) -> str:
    """Returns our id of a Tune trial."""
    return trial.config["content"]["trial_id"]
