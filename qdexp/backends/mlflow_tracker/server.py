# pyright: basic
"""MLflow's own UI over a store of ours."""

import os
import signal
import socket
import subprocess
import sys

from qdexp.backends.mlflow_tracker.location import Location
from qdexp.errors import NotFoundError, RequestError

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",  # of MLflow's own dependencies, nothing a reader can act on
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # starts more processes, for models only
}


def serve(location: Location, host: str, port: int) -> int:
    """Serves MLflow's UI over a store until SIGINT or SIGTERM; returns an exit code.

    Args:
        location: The store: a file or a database.
        host: The address to listen at.
        port: The port to listen at.

    Raises:
        NotFoundError: There is no store.
        RequestError: The port is taken, nothing answers, or MLflow misreads the folder's path.
    """
    if location.database and not location.database.exists():
        raise NotFoundError(
            f"expected an MLflow store at {location.database}, found none: `qdexp run SPEC` makes "
            "it, and --runs names another folder"
        )
    if silence := location.silence():
        raise RequestError(f"expected a database at {location.in_words}, found none: {silence}")
    address = location.address
    _refuse_taken(host, port)
    if not _is_loopback(host):
        sys.stderr.write(
            f"warning: whoever reaches {host}:{port} can read, change and delete what is here; "
            "without --host, only this machine can\n"
        )
    for name, link in _links(address, host, port):
        sys.stderr.write(f"{name}: {link}\n")
    sys.stderr.write("Ctrl-C stops the server.\n")
    return _wait(_started(location, host, port))


def _started(location: Location, host: str, port: int) -> subprocess.Popen[bytes]:
    assert location.artifacts is not None
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--default-artifact-root", location.artifacts.as_uri()),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    # The addresses may hold a password, which the list of processes would show.
    stores = dict.fromkeys(
        ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"), location.address
    )
    # In a session of its own, Ctrl-C reaches the server once, through us.
    return subprocess.Popen(command, env=os.environ | _ENVIRONMENT | stores, start_new_session=True)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (host != "" and host.startswith("127.")) or host == "::1"


def _links(address: str, host: str, port: int) -> list[tuple[str, str]]:
    """Returns each experiment's page: MLflow's front page shows other things than trainings."""
    from mlflow import MlflowClient  # noqa: PLC0415 - it takes seconds

    client = MlflowClient(tracking_uri=address)
    page = f"http://{host}:{port}/#/experiments/{{}}/runs?workflowType=machine_learning"
    return [
        (experiment.name, page.format(experiment.experiment_id))
        for experiment in client.search_experiments()
        if experiment.name != "Default"
    ]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Waits for the server; a signal to stop ends it, which is success."""
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        stopped.append(number)
        process.terminate()

    previous = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
    return 0 if stopped else code


def _refuse_taken(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RequestError(
                f"expected a free port on {host}, found {port} unusable ({error.strerror}): "
                "choose another with --port"
            ) from error
