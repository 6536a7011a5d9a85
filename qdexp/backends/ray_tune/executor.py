# pyright: basic
"""Runs trials through Ray Tune, side by side, in workers that stay warm between trials.

Tune gets a list of trials and nothing to decide: no search, no checkpoints, no loggers. What is
done and what is resumable is the ledger's and the trial's own folder's to say.
"""

import shutil
import uuid
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from qdexp.backends.ray_tune.cluster import Cluster, LocalCluster
from qdexp.backends.ray_tune.relay import Relay
from qdexp.backends.ray_tune.resources import placement_of
from qdexp.backends.ray_tune.worker import Worker
from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import QdexpError
from qdexp.execution.dispatch import Dispatch
from qdexp.execution.ports import Assignment, Listener
from qdexp.experiment.spec import Resources


class RayTuneExecutor:
    """The executor with workers, on a Ray cluster.

    Entered, it keeps the cluster from one stage to the next; else each call opens its own.

    Args:
        storage: A folder for Tune's own files, which are removed afterwards.
        resources: What every trial gets.
        cluster: Where trials run.
        dispatch: How files get to workers that do not see the runs folder, or None.
    """

    def __init__(
        self,
        *,
        storage: Path,
        resources: Resources,
        cluster: Cluster | None = None,
        dispatch: Dispatch | None = None,
    ) -> None:
        self._storage = storage.absolute()
        self._resources = resources
        self._cluster = cluster or LocalCluster()
        self._dispatch = dispatch
        self._kept: ExitStack | None = None
        self._is_open = False

    def __enter__(self) -> Self:
        """Begins to keep the cluster that a call opens."""
        self._kept = ExitStack()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the cluster."""
        if self._kept is not None:
            self._kept.close()
        self._kept, self._is_open = None, False

    def check(self) -> None:
        """Accepts what the cluster has.

        Raises:
            RequestError: A trial asks for more, or the cluster cannot be reached.
        """
        self._cluster.check(self._resources, self._opened)

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        """Runs the assignments, as many at a time as the resources allow.

        Raises:
            InterruptedRunError: A signal stopped it; workers had 10 s to close their trials.
            RequestError: No machine of the cluster has the resources that one trial asks for.
        """
        if not assignments:
            return
        for leftover in self._storage.glob("[0-9a-f]" * 32):  # of drivers that were killed
            shutil.rmtree(leftover, ignore_errors=True)
        # In this order: while it starts, Ray takes SIGTERM for itself, and would die of it.
        with self._opened(), StopSignal() as stop:
            placement = placement_of(self._resources, assignments)
            stop.check()
            if self._dispatch is None:
                self._fit(_param_space(assignments), placement, Relay(listener, stop, deadline))
            else:
                with self._dispatch.sent(assignments, listener) as (sent, returning):
                    self._fit(_param_space(sent), placement, Relay(returning, stop, deadline))
            stop.check()

    @contextmanager
    def _opened(self) -> Generator[None]:
        if self._kept is None:
            with self._cluster.opened():
                yield
            return
        if not self._is_open:
            self._kept.enter_context(self._cluster.opened())
            self._is_open = True
        yield

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
