# pyright: basic
"""Runs trials through Ray Tune, side by side, in workers that stay warm between trials.

Tune gets trials, a list or one by one, and nothing to decide: no sampler, no checkpoints, no
loggers. What is done and what is resumable is the ledger's and the trial's own folder's to say.
"""

import shutil
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import ConcurrencyLimiter

from qdexp.backends.ray_tune.cluster import Cluster, LocalCluster
from qdexp.backends.ray_tune.feeding import FeedScheduler, FeedSearcher, content_of
from qdexp.backends.ray_tune.relay import Relay
from qdexp.backends.ray_tune.resources import num_fitting, placement_of
from qdexp.backends.ray_tune.worker import Worker
from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import QdexpError
from qdexp.execution.dispatch import Dispatch
from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.search_ports import Feed
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
        self._gpus_of_trial = 0.0

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
        with self._listening(listener, deadline) as (send, relay):
            placement = placement_of(self._resources, assignments)
            content = [content_of(send(each)) for each in assignments]
            param_space = {"content": tune.grid_search(content)}
            self._fit(param_space, placement, relay)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        """Runs what `feed` gives, as many trials at a time as `workers` and the resources allow.

        Raises:
            InterruptedRunError: A signal stopped it; workers had 10 s to close their trials.
            RequestError: No machine of the cluster has the resources that one trial asks for.
        """
        with self._listening(listener, deadline) as (send, relay):
            placement = placement_of(self._resources, [])
            self._gpus_of_trial = sum(each.get("GPU", 0.0) for each in placement.bundles)
            fitting = num_fitting(placement)
            limited = ConcurrencyLimiter(
                FeedSearcher(feed, send), max_concurrent=min(workers or fitting, fitting)
            )
            following = {"search_alg": limited, "scheduler": FeedScheduler(feed, relay)}
            self._fit({}, placement, relay, num_samples=-1, **following)

    def gpus_of_trial(self) -> float:
        """Returns how many GPUs each trial of a feed holds, wherever in the cluster it runs."""
        return self._gpus_of_trial

    @contextmanager
    def _listening(
        self, listener: Listener, deadline: float | None
    ) -> Generator[tuple[Callable[[Assignment], Assignment], Relay]]:
        """Has a cluster, hears signals, and sends trials' files where workers find them."""
        for leftover in self._storage.glob("[0-9a-f]" * 32):  # of drivers that were killed
            shutil.rmtree(leftover, ignore_errors=True)
        # In this order: while it starts, Ray takes SIGTERM for itself, and would die of it.
        with self._opened(), StopSignal() as stop:
            stop.check()
            if self._dispatch is None:
                yield _as_it_is, Relay(listener, stop, deadline)
            else:
                with self._dispatch.sending(listener) as (send, returning):
                    yield send, Relay(returning, stop, deadline)
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
        self,
        param_space: dict[str, Any],
        placement: tune.PlacementGroupFactory,
        relay: Relay,
        **following: Any,  # noqa: ANN401 - Tune's own options
    ) -> None:
        name = uuid.uuid4().hex
        tuner = tune.Tuner(
            tune.with_resources(Worker, placement),
            param_space=param_space,
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                trial_name_creator=_name_of,
                trial_dirname_creator=_name_of,
                **following,
            ),
            run_config=self._run_config(name, relay),
        )
        try:
            # Ray announces lost workers on stdout, whatever log_to_driver says.
            with redirect_stdout(StringIO()):
                tuner.fit()
        except tune.TuneError as error:
            if isinstance(error.__context__, QdexpError):  # from the listener; Tune wraps it
                raise error.__context__ from None
            raise
        finally:
            shutil.rmtree(self._storage / name, ignore_errors=True)

    def _run_config(self, name: str, relay: Relay) -> tune.RunConfig:
        return tune.RunConfig(
            name=name,
            storage_path=str(self._storage),
            verbose=0,
            callbacks=[relay],
            failure_config=tune.FailureConfig(max_failures=0),  # retries are the use case's
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        )


def _as_it_is(assignment: Assignment) -> Assignment:
    return assignment


def _name_of(trial: TuneTrial) -> str:
    return trial.trial_id  # Tune's default name is made of the whole configuration
