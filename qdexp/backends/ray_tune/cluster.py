# pyright: basic
"""The Ray cluster that trials run on: one of this machine's own, or one that runs already."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import ray

from qdexp.backends.ray_tune import environment, head
from qdexp.backends.ray_tune.resources import Machine, num_gpus, refuse_infeasible
from qdexp.errors import InterruptedRunError, QdexpError
from qdexp.experiment.spec import Resources

_END_SECONDS = 20
"""What the head of a local cluster has to end in; it takes about one second."""


class Cluster(Protocol):
    """Where trials run."""

    def opened(self) -> AbstractContextManager[None]:
        """Is a driver of the cluster for a while."""
        ...

    def check(self, resources: Resources, opened: "Opened") -> None:
        """Accepts resources that the cluster has, opening it if need be.

        Raises:
            RequestError: It has less, or cannot run trials.
        """
        ...


class Opened(Protocol):
    """Opens a cluster, unless it is open."""

    def __call__(self) -> AbstractContextManager[None]:
        """Is a driver of the cluster for a while, or for longer."""
        ...


class LocalCluster:
    """A cluster of this machine's own."""

    def opened(self) -> AbstractContextManager[None]:
        """Has it running for a while."""
        return local_cluster()

    def check(self, resources: Resources, opened: Opened) -> None:  # noqa: ARG002
        """Accepts what this machine has; Ray itself is not started for it.

        Raises:
            RequestError: A trial asks for more CPUs or GPUs.
        """
        # Importing torch takes seconds: only a request for GPUs has to wait for it.
        gpus = num_gpus() if resources.gpus else 0
        refuse_infeasible(resources, [Machine(cpus=os.cpu_count() or 1, gpus=gpus)])


@contextmanager
def local_cluster() -> Generator[None]:
    """Has a Ray cluster on this machine; one that is already there is used, and left alone.

    Raises:
        InterruptedRunError: SIGTERM came while it started.
        QdexpError: It did not start.
    """
    if ray.is_initialized():
        yield
        return
    if environment.came_too_late:  # then Ray's processes are in this one's group, as by default
        with connected("local"):
            yield
        return
    with _head() as address, connected(address):
        yield


@contextmanager
def connected(address: str, runtime_env: Mapping[str, Any] | None = None) -> Generator[None]:
    """Is a driver of the cluster at an address, which must answer, and leaves the cluster alone.

    Raises:
        InterruptedRunError: SIGTERM came while it connected.
    """
    try:
        with _sigterm_interrupts():
            ray.init(
                address=address,
                runtime_env=dict(runtime_env or {}),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        yield
    finally:
        ray.shutdown()


@contextmanager
def _head() -> Generator[str]:
    """Runs the cluster's processes in a session of their own; yields its address."""
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [sys.executable, "-P", head.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": path},  # its workers import whatever this process can
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                said.seek(0)
                lines = said.read().strip().splitlines() or ["nothing"]
                raise QdexpError(f"expected Ray to start on this machine, but it said: {lines[-1]}")
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # and the kernel kills its children


@contextmanager
def _sigterm_interrupts() -> Generator[None]:
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
