# pyright: basic
"""Runs trials through Ray Tune, side by side, in workers that stay warm between trials.

Tune gets a list of trials and nothing to decide: no search, no checkpoints, no loggers. What is
done and what is resumable is the ledger's and the trial's own folder's to say.
"""

import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from qdexp.backends.ray_tune.cluster import local_cluster
from qdexp.backends.ray_tune.relay import Relay
from qdexp.backends.ray_tune.resources import Machine, num_gpus, placement_of, refuse_infeasible
from qdexp.backends.ray_tune.worker import Worker
from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import QdexpError
from qdexp.execution.ports import Assignment, Listener
from qdexp.experiment.spec import Resources


class RayTuneExecutor:
    """The executor with workers, on a Ray cluster of this machine.

    Args:
        storage: A folder for Tune's own files, which are removed afterwards.
        resources: What every trial gets.
    """

    def __init__(self, *, storage: Path, resources: Resources) -> None:
        self._storage = storage.absolute()
        self._resources = resources

    def check(self) -> None:
        """Accepts what this machine has; Ray itself is not started for it.

        Raises:
            RequestError: A trial asks for more CPUs or GPUs.
        """
        # Importing torch takes seconds: only a request for GPUs has to wait for it.
        gpus = num_gpus() if self._resources.gpus else 0
        refuse_infeasible(self._resources, [Machine(cpus=os.cpu_count() or 1, gpus=gpus)])

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        """Runs the assignments, as many at a time as the resources allow.

        Raises:
            InterruptedRunError: A signal stopped it; workers had 10 s to close their trials.
            BudgetSpentError: The deadline did, likewise.
            RequestError: No machine of the cluster has the resources that one trial asks for.
        """
        if not assignments:
            return
        for leftover in self._storage.glob("[0-9a-f]" * 32):  # of drivers that were killed
            shutil.rmtree(leftover, ignore_errors=True)
        # In this order: while it starts, Ray takes SIGTERM for itself, and would die of it.
        with local_cluster(), StopSignal() as stop:
            placement = placement_of(self._resources, assignments)
            stop.check()
            relay = Relay(listener, stop, deadline)
            self._fit(_param_space(assignments), placement, relay)
            stop.check()

    def _fit(
        self, param_space: dict[str, Any], placement: tune.PlacementGroupFactory, relay: Relay
    ) -> None:
        name = uuid.uuid4().hex
        try:
            # Ray announces lost workers on stdout, whatever log_to_driver says.
            with redirect_stdout(StringIO()):
                self._tuner(name, param_space, placement, relay).fit()
        except tune.TuneError as error:
            if isinstance(error.__context__, QdexpError):  # from the listener; Tune wraps it
                raise error.__context__ from None
            raise
        finally:
            shutil.rmtree(self._storage / name, ignore_errors=True)

    def _tuner(
        self,
        name: str,
        param_space: dict[str, Any],
        placement: tune.PlacementGroupFactory,
        relay: Relay,
    ) -> tune.Tuner:
        return tune.Tuner(
            tune.with_resources(Worker, placement),
            param_space=param_space,
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_name_creator=_name_of, trial_dirname_creator=_name_of
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(self._storage),
                verbose=0,
                callbacks=[relay],
                failure_config=tune.FailureConfig(max_failures=0),  # retries are the use case's
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )


def _param_space(assignments: Sequence[Assignment]) -> dict[str, Any]:
    content = [
        {"trial_id": each.trial.trial_id, "assignment": each.to_json()} for each in assignments
    ]
    return {"content": tune.grid_search(content)}


def _name_of(trial: TuneTrial) -> str:
    return trial.trial_id  # Tune's default name is made of the whole configuration
