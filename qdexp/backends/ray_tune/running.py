# pyright: basic
"""A Ray cluster that runs already, at an address: joined, asked what it has, and left alone."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray.exceptions import RayError

from qdexp.backends.ray_tune import greeting, nodes
from qdexp.backends.ray_tune.cluster import Opened, connected
from qdexp.backends.ray_tune.pulse import living
from qdexp.backends.ray_tune.resources import placement_of
from qdexp.backends.ray_tune.shipment import packed
from qdexp.errors import RequestError
from qdexp.experiment.spec import Resources

CONNECT_SECONDS = 10
GREETING_SECONDS = 40
"""What a cluster has to answer in; it takes about two seconds."""


class RunningCluster:
    """A cluster at an address.

    Args:
        address: ``HOST:PORT`` of its head, or ``auto`` for the one that this machine is part of.
        runs: The runs folder, which all nodes see unless there is a storage.
        storage: The URI of the storage that files travel through, or None.
        trainable: ``package.module:function``, whose code is sent.
        variables: ``NAME`` or ``NAME=VALUE`` of variables that workers get.
        say: Shows a line to people.
    """

    def __init__(  # noqa: PLR0913
        self,
        address: str,
        *,
        runs: Path,
        trainable: str,
        storage: str | None = None,
        variables: Sequence[str] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._address = address
        self._runs = runs
        self._storage = storage
        self._trainable = trainable
        self._variables = variables
        self._say = say

    @contextmanager
    def opened(self) -> Generator[None]:
        """Is a driver of the cluster.

        Raises:
            RequestError: Nobody answers there, or not to us.
        """
        if ray.is_initialized():
            raise RequestError(
                "--address: expected a process that is no driver of a Ray cluster yet, found one: "
                "call ray.shutdown() first"
            )
        with packed(self._trainable, self._variables) as shipment:
            address = greeted(self._address)
            with connected(address, shipment.runtime_env):
                self._say(f"cluster at {address}: its workers get {shipment.summary}")
                try:
                    yield
                finally:
                    if self._storage is not None:
                        with suppress(RayError):  # the cluster may be what was lost
                            nodes.clean(living(), self._storage)

    def check(self, resources: Resources, opened: Opened) -> None:
        """Accepts a cluster that can run trials with such resources.

        Raises:
            RequestError: It cannot.
        """
        with opened():
            self._check(resources)

    def _check(self, resources: Resources) -> None:
        if self._storage is not None and resources.processes > 1:
            raise RequestError(
                "--storage: expected resources.processes of 1 beside it, found "
                f"{resources.processes}: the processes of a trial share its folder"
            )
        bundle = placement_of(resources, []).bundles[-1]
        able = [
            node
            for node in living()
            if all(node["Resources"].get(kind, 0) >= wanted for kind, wanted in bundle.items())
        ]
        with _mark(self._runs) as mark:
            reports = nodes.asked(able, mark, self._storage)
        for note in nodes.judged(reports, self._runs, is_shared=self._storage is None):
            self._say(note)


def greeted(address: str) -> str:
    """Returns the address of the cluster that answers at one, as HOST:PORT.

    Raises:
        RequestError: Nobody answers, or not to us; the message says what to do.
    """
    _check_form(address)
    command = [sys.executable, "-P", greeting.__file__, address]
    environment = os.environ | {"RAY_NUM_REDIS_GET_RETRIES": "2"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=GREETING_SECONDS,
            env=environment,
            start_new_session=True,
            check=False,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        found = {"problem": ""}
    if "address" in found:
        return found["address"]
    raise RequestError(_explained(address, found["problem"]))


def _check_form(address: str) -> None:
    """Accepts an address behind which somebody listens.

    Raises:
        RequestError: It is none, or nobody does.
    """
    if address == "auto":
        return
    if "://" in address:
        raise RequestError(
            f"--address: expected auto or HOST:PORT, found '{address}': over Ray Client, Tune "
            "would run inside the cluster, where the ledger is not. Start qdexp on a node of the "
            "cluster with `--address auto`; `ray start --address HOST:PORT --num-cpus 0` makes "
            "this machine a node that runs no trials"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise RequestError(f"--address: expected auto or HOST:PORT, found '{address}'")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise RequestError(
            f"--address: expected a Ray cluster at {address}, found that nobody answers there "
            f"({error.strerror or error}): `ray status --address {address}` on the head's machine "
            "tells whether it runs"
        ) from error


def _explained(address: str, problem: str) -> str:
    begin = f"--address: expected a Ray cluster at {address} that this driver can join, found "
    if "AuthenticationError" in problem or "InvalidAuthToken" in problem:
        return (
            f"{begin}that it wants another token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a "
            "file with it, to what the cluster was started with (`ray get-auth-token` on its head "
            "prints it)"
        )
    if "Version mismatch" in problem:
        start = problem.index("Version mismatch")
        words = " ".join(problem[start:].split())
        return f"{begin}a {words[0].lower()}{words[1:]} Use the Ray and Python of the cluster here"
    if "node_ip_address" in problem or "raylet" in problem.lower():
        return (
            f"{begin}that this machine is no node of it: `ray start --address {address} "
            "--num-cpus 0` makes it one that runs no trials"
        )
    last = problem.strip().splitlines()
    said = f"that it says: {last[0]}" if last else f"no answer within {GREETING_SECONDS} s"
    where = "start one with `ray start --head`" if address == "auto" else "is it a Ray head's port?"
    return f"{begin}{said}; {where}"


@contextmanager
def _mark(runs: Path) -> Generator[Path]:
    """Has a file in the runs folder for a moment; leaves the disk as it was.

    Raises:
        RequestError: The folder cannot be written.
    """
    made = [each for each in (runs, *runs.parents) if not each.exists()]
    mark = runs / f"seen-{uuid.uuid4().hex}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise RequestError(
            f"--runs: expected a folder that can be written, found {runs}: {error}"
        ) from error
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()
