"""A tracking server that is away, comes back, or whose answers are lost: nothing stops, or is lost.

The servers are real: MLflow's own over PostgreSQL, with a proxy before it that loses answers.
"""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mirrored_trials import Reader, begun, entry, outcome, trial
from tracking_servers import MlflowServer, emptied, free_port

from qdexp.backends.mlflow_tracker import Location, MlflowTracker, location_of
from qdexp.backends.mlflow_tracker.tracker import wait_for_former_writers
from qdexp.results.outcome import Progress

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

CREATE = "/api/2.0/mlflow/runs/create"


def told_of(tracker: MlflowTracker, *seeds: int) -> None:
    for seed in seeds:
        tracker.start_trial(begun(trial(seed)))
        first = Progress(step=0, num_steps=20, measurements={"train.toy": 4.0})
        tracker.log(trial(seed).trial_id, first)
        tracker.end_trial(outcome(trial(seed)), [])


def wait_for_the_first(tracker: MlflowTracker) -> None:
    """Waits until one trial is mirrored."""
    end = time.monotonic() + 120
    while not tracker.newly_mirrored():
        assert time.monotonic() < end
        time.sleep(0.01)


def check_complete(reader: Reader, num_trials: int) -> None:
    """Accepts one finished run per trial with each step once, under one finished parent."""
    runs = reader.runs("trial")
    assert len({run.data.tags["qdexp.trial_id"] for run in runs}) == len(runs) == num_trials
    for run in runs:
        assert run.info.status == "FINISHED"
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
        assert reader.history(run, "eval.toy") == [(0, 0.9), (20, 0.5)]
        assert reader.files(run) == {"configuration.json"}
    (parent,) = reader.runs("experiment")
    assert parent.info.status == "FINISHED"


class LosingProxy(ThreadingHTTPServer):
    """Passes requests on to a server; loses the answers that it is told to lose."""

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.to_lose: dict[str, int] = {}
        self.num_requests: dict[str, int] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a client that goes away is what is tested."""


class _Forwarder(BaseHTTPRequestHandler):
    def _forward(self) -> None:
        proxy = self.server
        assert isinstance(proxy, LosingProxy)
        path = self.path.partition("?")[0]
        proxy.num_requests[path] = proxy.num_requests.get(path, 0) + 1
        length = int(self.headers.get("Content-Length") or 0)
        headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
        request = urllib.request.Request(
            proxy.behind + self.path, self.rfile.read(length) or None, headers
        )
        request.method = self.command
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, body = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        if proxy.to_lose.get(path, 0) > 0:
            proxy.to_lose[path] -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def proxy(server: MlflowServer, database: str) -> Iterator[LosingProxy]:
    emptied(database)
    with LosingProxy(server.url) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [CREATE, "/api/2.0/mlflow/experiments/create", "/api/2.0/mlflow/runs/log-batch"],
)
def test_request_whose_answer_was_lost_is_done_once(
    proxy: LosingProxy, tmp_path: Path, path: str
) -> None:
    proxy.to_lose[path] = 1
    tracker = MlflowTracker(location_of(tmp_path, proxy.url))
    tracker.open_experiment(entry())
    told_of(tracker, 0)
    assert tracker.close() == ()
    assert proxy.to_lose[path] == 0
    check_complete(Reader(location_of(tmp_path, proxy.url)), 1)
    assert Reader(location_of(tmp_path, proxy.url)).deleted() == []
    if path == CREATE:
        assert proxy.num_requests[CREATE] == 2  # the parent's and the trial's


@pytest.fixture
def without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's client would ask a server again after seconds, then after a minute."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.slow
@pytest.mark.usefixtures("without_retries")
def test_server_stopped_and_started_again_in_the_middle_loses_nothing(
    server: MlflowServer, database: str, tmp_path: Path
) -> None:
    emptied(database)
    location = location_of(tmp_path, server.url)
    tracker = MlflowTracker(location)
    tracker.open_experiment(entry())
    told_of(tracker, 0)
    wait_for_the_first(tracker)
    tracker.start_trial(begun(trial(1)))
    server.stop()
    try:
        assert location.silence()
        told_of(tracker, 2, 3)
        tracker.end_trial(outcome(trial(1)), [])
    finally:
        server.start()
    told_of(tracker, 4)
    assert tracker.close() == ()
    check_complete(Reader(location), 5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_retries")
def test_server_killed_in_the_middle_of_a_request_is_caught_up_by_another_tracker(
    server: MlflowServer, database: str, tmp_path: Path
) -> None:
    emptied(database)
    location = location_of(tmp_path, server.url)
    tracker = MlflowTracker(location, patience_seconds=0.5)
    tracker.open_experiment(entry())
    told_of(tracker, *range(9))
    wait_for_the_first(tracker)
    server.stop()
    try:
        (problem,) = tracker.close()
    finally:
        server.start()
    assert "nothing is lost" in problem
    later = MlflowTracker(location)
    later.open_experiment(entry())
    told_of(later, *range(9))
    assert later.close() == ()
    check_complete(Reader(location), 9)


def test_server_that_is_away_for_the_whole_run_is_said_and_nothing_waits_for_it(
    tmp_path: Path,
) -> None:
    tracker = MlflowTracker(location_of(tmp_path, f"http://127.0.0.1:{free_port()}"))
    tracker.open_experiment(entry())
    told_of(tracker, *range(100))
    (problem,) = tracker.close()
    assert "Connection refused" in problem
    assert "`qdexp doctor` or the next run adds it: nothing is lost" in problem
    assert tracker.newly_mirrored() == ()


def test_server_that_accepts_and_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        tracker = MlflowTracker(location_of(tmp_path, url), patience_seconds=0.5)
        tracker.open_experiment(entry())
        (problem,) = tracker.close()
    assert "timed out" in problem


class _Broken(BaseHTTPRequestHandler):
    """A server whose database is away."""

    def do_POST(self) -> None:
        self.send_error(503)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_server_whose_database_is_away_counts_as_away(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as broken:
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{broken.server_address[1]}"
        tracker = MlflowTracker(location_of(tmp_path, url), patience_seconds=0.5)
        tracker.open_experiment(entry())
        (problem,) = tracker.close()
        broken.shutdown()
    assert "it answers with HTTP status 503" in problem


def test_database_that_is_away_counts_as_away(tmp_path: Path) -> None:
    location = Location(runs=tmp_path, uri=f"postgresql://me@127.0.0.1:{free_port()}/tracking")
    assert location.silence() == "Connection refused"
    tracker = MlflowTracker(location)
    tracker.open_experiment(entry())
    assert "Connection refused" in tracker.close()[0]


def test_writer_that_was_given_up_ends_before_another_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    is_released = threading.Event()

    class SlowStore:
        def __init__(self, location: Location, *, flush_seconds: float) -> None:
            self.name = location.runs.name
            assert flush_seconds > 0

        def open_experiment(self, _: object) -> None:
            order.append(f"{self.name} begins")
            if self.name == "first":
                assert is_released.wait(60)
            order.append(f"{self.name} ends")

        def flush(self) -> None: ...
        def close(self) -> None: ...

    monkeypatch.setattr("qdexp.backends.mlflow_tracker.store.MlflowStore", SlowStore)
    monkeypatch.setattr("qdexp.backends.mlflow_tracker.tracker._MOST_PATIENCES", 1)
    first, second = (
        MlflowTracker(Location(runs=tmp_path / name), patience_seconds=0.1)
        for name in ("first", "second")
    )
    first.open_experiment(entry())
    (problem,) = first.close()
    assert "it takes too long over one change" in problem
    second.open_experiment(entry())
    is_released.set()
    second.close()
    wait_for_former_writers()
    assert order == ["first begins", "first ends", "second begins", "second ends"]


def test_changes_that_are_too_many_to_wait_for_a_server_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qdexp.backends.mlflow_tracker.tracker._MOST_QUEUED", 10)
    tracker = MlflowTracker(location_of(tmp_path, f"http://127.0.0.1:{free_port()}"))
    tracker.open_experiment(entry())
    told_of(tracker, *range(9))
    problems = tracker.close()
    assert any("changes were too many to wait for it" in problem for problem in problems)
