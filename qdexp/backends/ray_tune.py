# pyright: basic
"""Runs trials through Ray Tune, side by side, in workers that stay warm between trials.

Tune gets a list of trials and nothing to decide: no search, no checkpoints, no loggers. What is
done and what is resumable is the ledger's and the trial's own folder's to say.
"""

import logging
import os
import secrets
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import InterruptedRunError, QdexpError, RequestError
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment, Listener
from qdexp.experiment.spec import Resources
from qdexp.results.outcome import Failure, Outcome, Progress

_REPORT_SECONDS = 0.5
"""A worker gathers its reports for this long, since each exchange with Tune costs milliseconds."""

_ENVIRONMENT = {
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else Ray writes one into the home folder
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where verbose is 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a trainable sees the same working directory as inline
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kills break Tune; the kernel's are lost workers
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours raises, and also hears SIGTERM
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


class RayTuneExecutor:
    """The executor with workers, on a Ray cluster of this machine.

    Args:
        storage: A folder for Tune's own files, which are removed afterwards.
        resources: What every trial gets.
        retries: How often a trial whose worker was lost begins again, from its own checkpoint.
    """

    def __init__(self, *, storage: Path, resources: Resources, retries: int = 2) -> None:
        self._storage = storage.absolute()
        self._resources = resources
        self._retries = retries

    def check(self) -> None:
        """Accepts what this machine has; Ray itself is not started for it.

        Raises:
            RequestError: A trial asks for more CPUs or GPUs.
        """
        # Importing torch takes seconds: only a request for GPUs has to wait for it.
        gpus = _num_gpus() if self._resources.gpus else 0
        _refuse_infeasible(self._resources, os.cpu_count() or 1, gpus)

    def execute(self, assignments: Sequence[Assignment], listener: Listener) -> None:
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
        with local_cluster(), StopSignal() as stop:
            bundle = _bundle(self._resources)
            stop.check()
            self._fit(_param_space(assignments), bundle, _Relay(listener, stop))
            stop.check()

    def _fit(self, param_space: dict[str, Any], bundle: dict[str, float], relay: "_Relay") -> None:
        name = uuid.uuid4().hex
        try:
            # Ray announces lost workers on stdout, whatever log_to_driver says.
            with redirect_stdout(StringIO()):
                self._tuner(name, param_space, bundle, relay).fit()
        except tune.TuneError as error:
            if isinstance(error.__context__, QdexpError):  # from the listener; Tune wraps it
                raise error.__context__ from None
            raise
        finally:
            shutil.rmtree(self._storage / name, ignore_errors=True)

    def _tuner(
        self, name: str, param_space: dict[str, Any], bundle: dict[str, float], relay: "_Relay"
    ) -> tune.Tuner:
        return tune.Tuner(
            tune.with_resources(_Worker, tune.PlacementGroupFactory([bundle])),
            param_space=param_space,
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_name_creator=_name_of, trial_dirname_creator=_name_of
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(self._storage),
                verbose=0,
                callbacks=[relay],
                failure_config=tune.FailureConfig(max_failures=self._retries),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )


@contextmanager
def local_cluster() -> Iterator[None]:
    """Has a Ray cluster on this machine; one that is already there is used, and left alone."""
    if ray.is_initialized():
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        with _python_path_of_this_process(), _sigterm_interrupts():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        yield
    finally:
        ray.shutdown()


class _Worker(tune.Trainable):
    """One warm process: `step` advances a trial for a while and hands over what it reported."""

    def setup(self, config: dict[str, Any]) -> None:
        self._reports = attempt(Assignment.from_json(config["content"]["assignment"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        progress: list[dict[str, Any]] = []
        due = time.monotonic() + _REPORT_SECONDS
        for report in self._reports:
            if isinstance(report, Outcome):
                return {
                    "progress": progress,
                    "outcome": report.to_json(),
                    "done": report.status == "completed",
                }
            progress.append(asdict(report))
            if time.monotonic() >= due:
                return {"progress": progress}
        # Reached only after an outcome that is not a completion: whatever such a trial left
        # behind (memory, threads, a broken device) must not meet another one. Tune keeps an actor
        # unless it raises, and kills the next trial where reset_config refuses.
        raise RuntimeError("this worker is not used again")

    def cleanup(self) -> None:
        self._reports.close()


class _Relay(tune.Callback):
    """Tells the listener, in the driver, what Tune hears from its workers."""

    def __init__(self, listener: Listener, stop: StopSignal) -> None:
        self._listener = listener
        self._stop = stop
        self._ended: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles its callbacks for a restore that never comes."""
        return {}

    def on_step_begin(self, **_info: object) -> None:
        self._stop.check()

    def on_trial_start(self, trial: TuneTrial, **_info: object) -> None:
        self._listener.on_start(_trial_id(trial))

    def on_trial_result(self, trial: TuneTrial, result: dict[str, Any], **_info: object) -> None:
        trial_id = _trial_id(trial)
        for progress in result["progress"]:
            self._listener.on_progress(trial_id, Progress(**progress))
        if "outcome" in result:
            if not result["done"]:
                trial.max_failures = 0  # its worker raises next, see _Worker.step
            self._end(Outcome.from_json(result["outcome"]))

    def on_trial_error(self, trial: TuneTrial, **_info: object) -> None:
        if _trial_id(trial) not in self._ended:
            self._end(_lost(trial))

    def _end(self, outcome: Outcome) -> None:
        self._ended.add(outcome.trial_id)
        self._listener.on_outcome(outcome)


def _param_space(assignments: Sequence[Assignment]) -> dict[str, Any]:
    content = [
        {"trial_id": each.trial.trial_id, "assignment": each.to_json()} for each in assignments
    ]
    return {"content": tune.grid_search(content)}


def _trial_id(trial: TuneTrial) -> str:
    return trial.config["content"]["trial_id"]


def _name_of(trial: TuneTrial) -> str:
    return trial.trial_id  # Tune's default name is made of the whole configuration


def _lost(trial: TuneTrial) -> Outcome:
    failure = Failure(
        reason=f"its worker died in each of {trial.run_metadata.num_failures} attempts: did the "
        "machine run out of memory?",
        kind="worker_lost",
        traceback=str(trial.get_pickled_error()),
    )
    return Outcome(trial_id=_trial_id(trial), status="failed", step=0, failure=failure)


def _bundle(resources: Resources) -> dict[str, float]:
    """Returns what Tune reserves for one trial.

    Raises:
        RequestError: No machine has so much: Ray would wait for ever.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (max(each.get(kind, 0) for each in machines) for kind in ("CPU", "GPU"))
    _refuse_infeasible(resources, cpus, gpus)
    wanted = min(1, gpus) if resources.gpus is None else resources.gpus
    return {"CPU": resources.cpus, "GPU": wanted} if wanted else {"CPU": resources.cpus}


def _num_gpus() -> int:
    """Returns the number of GPUs that PyTorch finds here."""
    import torch  # noqa: PLC0415 - it takes seconds

    return torch.cuda.device_count()


def _refuse_infeasible(resources: Resources, cpus: float, gpus: float) -> None:
    wanted = resources.gpus or 0
    if resources.cpus > cpus or wanted > gpus:
        raise RequestError(
            f"expected resources that one machine has (at most {cpus:g} CPUs and {gpus:g} GPUs), "
            f"found cpus: {resources.cpus}, gpus: {wanted:g}: lower them under resources in the "
            "spec"
        )


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Makes an interruption of Ray's own answer to SIGTERM, and gives the handler back after it.

    Raises:
        InterruptedRunError: A SIGTERM came, and Ray took it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        raise InterruptedRunError(
            "stopped by SIGTERM while Ray started: the same command starts again"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _python_path_of_this_process() -> Iterator[None]:
    """Lets processes started meanwhile import whatever this one can."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
