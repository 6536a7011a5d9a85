# pyright: basic
"""MLflow's own UI over the store of a runs folder."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from qdexp.backends.mlflow_tracker.location import database_address, database_file
from qdexp.errors import NotFoundError, RequestError

_HOST = "127.0.0.1"

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",  # of MLflow's own dependencies, nothing a reader can act on
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # starts more processes, for models only
}


def serve(runs: Path, port: int) -> int:
    """Serves MLflow's UI on 127.0.0.1 until SIGINT or SIGTERM; returns an exit code.

    Raises:
        NotFoundError: The runs folder has no MLflow store.
        RequestError: The port is taken, or MLflow misreads the folder's path.
    """
    database = database_file(runs)
    if not database.exists():
        raise NotFoundError(
            f"expected an MLflow store at {database}, found none: `qdexp run SPEC` makes it, and "
            "--runs names another folder"
        )
    address = database_address(database)
    _refuse_taken(port)
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", _HOST, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", address),
        *("--registry-store-uri", address),
        *("--default-artifact-root", (runs.absolute() / "mlartifacts").as_uri()),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    for name, link in _links(address, port):
        sys.stderr.write(f"{name}: {link}\n")
    sys.stderr.write("Ctrl-C stops the server.\n")
    # In a session of its own, Ctrl-C reaches the server once, through us.
    process = subprocess.Popen(command, env=os.environ | _ENVIRONMENT, start_new_session=True)
    return _wait(process)


def _links(address: str, port: int) -> list[tuple[str, str]]:
    """Returns each experiment's page: MLflow's front page shows other things than trainings."""
    from mlflow import MlflowClient  # noqa: PLC0415 - it takes seconds

    client = MlflowClient(tracking_uri=address)
    page = f"http://{_HOST}:{port}/#/experiments/{{}}/runs?workflowType=machine_learning"
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


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise RequestError(
                f"expected a free port on {_HOST}, found {port} unusable ({error.strerror}): "
                "choose another with --port"
            ) from error
