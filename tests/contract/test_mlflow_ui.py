"""MLflow's pages, as `qdexp ui` serves them or says where they are."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mirrored_trials import begun, entry, outcome, trial
from tracking_servers import free_port

from qdexp.backends.mlflow_tracker import Location, MlflowTracker, serve
from qdexp.cli import ui_command
from qdexp.errors import NotFoundError, RequestError

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

SERVE = """
import pathlib, sys
from qdexp.backends.mlflow_tracker import Location, serve
sys.exit(serve(Location(runs=pathlib.Path(sys.argv[1])), "127.0.0.1", int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with one trial in its store."""
    runs = tmp_path_factory.mktemp("runs")
    tracker = MlflowTracker(Location(runs=runs))
    tracker.open_experiment(entry())
    tracker.start_trial(begun(trial()))
    tracker.end_trial(outcome(trial()), [])
    assert tracker.close() == ()
    return runs


@pytest.mark.slow
def test_ui_is_served_over_http_until_it_is_told_to_stop(runs: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(runs), str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        page = b""
        while not page and server.poll() is None:
            with contextlib.suppress(OSError):  # it does not listen yet
                page = get(f"http://127.0.0.1:{port}/")
            time.sleep(0.1)
        assert b"<title>MLflow</title>" in page
        api = f"http://127.0.0.1:{port}/api/2.0/mlflow"
        experiment = json.loads(
            get(f"{api}/experiments/get-by-name?experiment_name=codebook_size")
        )["experiment"]
        found = post(f"{api}/runs/search", {"experiment_ids": [experiment["experiment_id"]]})
        names = {run["info"]["run_name"] for run in found["runs"]}
        assert names == {"codebook_size", "num_embeddings=4096, seed 0"}
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_nothing_to_serve_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="expected an MLflow store"):
        serve(Location(runs=tmp_path), "127.0.0.1", free_port())


def test_taken_port_is_said(runs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"found {port} unusable"):
            serve(Location(runs=runs), "127.0.0.1", port)


def test_address_of_a_server_is_printed_and_nothing_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = "http://me:secret@tracking.example:5000"
    code = ui_command.serve(5000, host="127.0.0.1", runs=tmp_path, tracking_uri=uri)
    assert code == 0
    assert capsys.readouterr().out == "http://me@tracking.example:5000\n"


def test_ui_binds_to_this_machine_alone_unless_told_otherwise() -> None:
    import inspect

    from qdexp.cli.experiment_commands import ui

    assert inspect.signature(ui).parameters["host"].default == "127.0.0.1"


@pytest.mark.parametrize(("host", "is_warned"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_whoever_opens_the_pages_to_others_is_warned(
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str,
    *,
    is_warned: bool,
) -> None:
    started: list[list[str]] = []

    class EndedProcess:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr("qdexp.backends.mlflow_tracker.server.subprocess.Popen", EndedProcess)
    assert serve(Location(runs=runs), host, free_port()) == 0
    (command,) = started
    assert command[command.index("--host") + 1] == host
    assert ("can read, change and delete" in capsys.readouterr().err) == is_warned


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


def post(url: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())
