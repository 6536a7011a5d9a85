# pyright: basic
"""Tells the listener, in the driver, what Tune hears from its workers."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from qdexp.backends.ray_tune.pulse import Pulse
from qdexp.backends.stop_signal import StopSignal
from qdexp.execution.ports import Listener
from qdexp.results.outcome import Failure, Outcome, Progress


class Relay(tune.Callback):
    """Tells the listener, in the driver, what Tune hears from its workers."""

    def __init__(self, listener: Listener, stop: StopSignal) -> None:
        self._listener = listener
        self._stop = stop
        self._pulse = Pulse()
        self._ended: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles its callbacks for a restore that never comes."""
        return {}

    def on_step_begin(self, **_info: object) -> None:
        """Stops the experiment where a signal asked for it, or nothing is left to run it."""
        self._stop.check()
        self._pulse.check()

    def on_trial_start(self, trial: TuneTrial, **_info: object) -> None:
        """An attempt began."""
        self._listener.on_start(trial_id_of(trial))

    def on_trial_result(self, trial: TuneTrial, result: dict[str, Any], **_info: object) -> None:
        """A worker handed over what its trial reported."""
        trial_id = trial_id_of(trial)
        for progress in result["progress"]:
            self._listener.on_progress(trial_id, Progress(**progress))
        if "outcome" in result:
            if not result["done"]:
                trial.max_failures = 0  # its worker raises next, see Worker.step
            self._end(Outcome.from_json(result["outcome"]))

    def on_trial_error(self, trial: TuneTrial, **_info: object) -> None:
        """A worker died, unless its trial had ended and it was meant to."""
        if trial_id_of(trial) not in self._ended:
            self._end(_lost(trial))

    def _end(self, outcome: Outcome) -> None:
        self._ended.add(outcome.trial_id)
        self._listener.on_outcome(outcome)


def trial_id_of(trial: TuneTrial) -> str:
    """Returns our id of a Tune trial."""
    return trial.config["content"]["trial_id"]


def _lost(trial: TuneTrial) -> Outcome:
    failure = Failure(
        reason=f"its worker died in each of {trial.run_metadata.num_failures} attempts: did the "
        "machine run out of memory?",
        kind="worker_lost",
        traceback=str(trial.get_pickled_error()),
    )
    return Outcome(trial_id=trial_id_of(trial), status="failed", step=0, failure=failure)
