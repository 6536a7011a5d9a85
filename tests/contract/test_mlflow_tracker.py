"""The MLflow mirror: nested, exactly once, whatever is repeated; and served over HTTP."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qdexp.backends.mlflow_tracker import MlflowTracker, serve
from qdexp.config.presets import preset
from qdexp.errors import NotFoundError, RequestError
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, Outcome, Progress, Series, Status

if TYPE_CHECKING:
    from mlflow.entities import Run

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

CONDITION = {"model.num_embeddings": 4096}
STARTED_AT = 1_750_000_000.0


def trial(seed: int = 0) -> Trial:
    return Trial(configuration=preset("tiny"), seed=seed, data_fingerprint="none")


def outcome(of: Trial, status: Status = "completed") -> Outcome:
    failure = None if status == "completed" else Failure(reason=f"it was {status}")
    return Outcome(
        trial_id=of.trial_id,
        status=status,
        step=20,
        measurements={"eval.toy": 0.5, "train.toy": 2.0, "eval.broken": float("nan")},
        history={
            "train.toy": Series(steps=(0, 10, 20), values=(4.0, 3.0, 2.0)),
            "eval.toy": Series(steps=(0, 20), values=(0.9, 0.7)),
        },
        failure=failure,
        provenance={"finished_at": STARTED_AT + 60},
    )


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was migrated once, since that takes seconds."""
    runs = tmp_path_factory.mktemp("empty")
    tracker = MlflowTracker(runs)
    tracker.open_experiment("unused", "")
    assert tracker.close() == ()
    return runs / "mlflow.db"


@pytest.fixture
def runs(empty_store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs of mine"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture
def opened(runs: Path) -> Callable[..., MlflowTracker]:
    """Opens an experiment over the same store, each time with a new tracker."""

    def build(name: str = "codebook_size") -> MlflowTracker:
        tracker = MlflowTracker(runs)
        tracker.open_experiment(name, "Does a larger codebook help?")
        return tracker

    return build


class Store:
    """What a reader of the store finds."""

    def __init__(self, runs: Path) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")

    def runs(self, role: str) -> "list[Run]":
        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return [
            run
            for run in self.client.search_runs(everywhere, f"tags.`qdexp.role` = '{role}'")
            if run.info.run_name != "unused"
        ]

    def history(self, run: "Run", name: str) -> list[tuple[int, float]]:
        metrics = self.client.get_metric_history(run.info.run_id, name)
        return [(metric.step, metric.value) for metric in metrics]

    def files(self, run: "Run") -> set[str]:
        return {each.path for each in self.client.list_artifacts(run.info.run_id)}


@pytest.fixture
def store(runs: Path) -> Store:
    return Store(runs)


def test_constructing_a_tracker_imports_no_mlflow_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from qdexp.backends.mlflow_tracker import MlflowTracker; "
        "MlflowTracker(pathlib.Path(sys.argv[1])).close(); assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert list(tmp_path.iterdir()) == []


def test_trials_are_nested_under_their_experiment(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    tracker = opened()
    for seed in range(2):
        tracker.start_trial(trial(seed), CONDITION, {"qdexp.commit": "abc"}, STARTED_AT)
        tracker.end_trial(outcome(trial(seed)), [])
    assert tracker.close() == ()
    (parent,) = store.runs("experiment")
    nested = store.runs("trial")
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {parent.info.run_id}
    assert {run.info.run_name for run in nested} == {
        "num_embeddings=4096, seed 0",
        "num_embeddings=4096, seed 1",
    }
    assert parent.data.tags["mlflow.note.content"] == "Does a larger codebook help?"
    assert store.client.get_experiment(parent.info.experiment_id).name == "codebook_size"


def test_trial_has_few_parameters_and_its_whole_configuration_as_a_file(
    opened: Callable[..., MlflowTracker], store: Store, tmp_path: Path
) -> None:
    picture = tmp_path / "codebook.png"
    picture.write_bytes(b"picture")
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {"qdexp.commit": "abc"}, STARTED_AT)
    tracker.end_trial(outcome(trial()), [picture])
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert run.data.params == {"model.num_embeddings": "4096", "seed": "0"}
    assert run.data.tags["qdexp.commit"] == "abc"
    assert run.data.tags["qdexp.trial_id"] == trial().trial_id
    assert store.files(run) == {"configuration.json", "codebook.png"}
    text = Path(store.client.download_artifacts(run.info.run_id, "configuration.json")).read_text()
    assert json.loads(text) == preset("tiny").model_dump(mode="json")


def test_complete_history_is_kept_and_the_final_measurement_is_the_latest(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    tracker.end_trial(outcome(trial()), [])
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert store.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
    assert run.data.metrics["eval.toy"] == 0.5  # less than 0.7, which the history has at its step
    assert "eval.broken" not in run.data.metrics
    assert run.info.start_time == STARTED_AT * 1000
    assert run.info.end_time == (STARTED_AT + 60) * 1000


def test_progress_is_mirrored_while_a_trial_runs(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    for step in (0, 10):
        measured = {"train.toy": 4.0 - step / 10, "train.broken": float("inf")}
        tracker.log(trial().trial_id, Progress(step=step, num_steps=20, measurements=measured))
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert store.history(run, "train.toy") == [(0, 4.0), (10, 3.0)]
    assert "train.broken" not in run.data.metrics


class Torn(list[Path]):
    """Files at which the mirroring of an outcome ends half-way."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def __iter__(self) -> Iterator[Path]:
        self.reached.set()
        raise OSError("killed here")


def test_replay_after_an_abandoned_tracker_repeats_nothing(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    def mirror(started_at: float, files: list[Path]) -> MlflowTracker:
        tracker = opened()
        tracker.start_trial(trial(), CONDITION, {}, started_at)
        first = Progress(step=0, num_steps=20, measurements={"train.toy": 4.0})
        tracker.log(trial().trial_id, first)
        tracker.end_trial(outcome(trial()), files)
        return tracker

    torn = Torn()
    mirror(STARTED_AT, torn)
    assert torn.reached.wait(timeout=60)
    (abandoned,) = store.runs("trial")
    assert abandoned.info.status == "RUNNING"
    assert mirror(STARTED_AT + 1000, []).close() == ()
    (run,) = store.runs("trial")
    assert (run.info.run_id, run.info.status) == (abandoned.info.run_id, "FINISHED")
    assert store.history(run, "eval.toy") == [(0, 0.9), (20, 0.5)]
    assert store.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
    assert len(store.runs("experiment")) == 1


@pytest.mark.parametrize(
    ("status", "mlflow_status"),
    [
        ("completed", "FINISHED"),
        ("diverged", "FAILED"),
        ("failed", "FAILED"),
        ("pruned", "KILLED"),
        ("cancelled", "KILLED"),
    ],
)
def test_outcome_decides_the_status_and_is_tagged_with_its_reason(
    opened: Callable[..., MlflowTracker], store: Store, status: Status, mlflow_status: str
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    tracker.end_trial(outcome(trial(), status), [])
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert run.info.status == mlflow_status
    assert run.data.tags["qdexp.outcome"] == status
    reason = None if status == "completed" else f"it was {status}"
    assert run.data.tags.get("qdexp.reason") == reason


def test_traceback_of_a_failure_is_a_file(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    failure = Failure(reason="ValueError", kind="exception", traceback="Traceback: here")
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    tracker.end_trial(
        Outcome(trial_id=trial().trial_id, status="failed", step=0, failure=failure), []
    )
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert "traceback.txt" in store.files(run)
    assert run.data.tags["qdexp.failure_kind"] == "exception"


def test_interrupted_trial_is_killed_and_goes_on_in_the_same_run(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    assert tracker.close() == ()
    (interrupted,) = store.runs("trial")
    (parent,) = store.runs("experiment")
    assert (interrupted.info.status, parent.info.status) == ("KILLED", "FINISHED")
    again = opened()
    again.start_trial(trial(), CONDITION, {}, STARTED_AT + 1000)
    again.end_trial(outcome(trial()), [])
    assert again.close() == ()
    (run,) = store.runs("trial")
    assert run.info.run_id == interrupted.info.run_id
    assert (run.info.status, run.info.start_time) == ("FINISHED", STARTED_AT * 1000)


def test_trial_shared_by_experiments_stays_with_the_first_and_is_tagged_with_both(
    opened: Callable[..., MlflowTracker], store: Store
) -> None:
    for name in ("codebook_size", "timestep_range"):
        tracker = opened(name)
        tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
        tracker.end_trial(outcome(trial()), [])
        assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert run.data.tags["qdexp.experiments"] == "codebook_size, timestep_range"
    assert store.client.get_experiment(run.info.experiment_id).name == "codebook_size"


def test_what_cannot_be_mirrored_is_said_and_stops_nothing_else(
    opened: Callable[..., MlflowTracker], store: Store, tmp_path: Path
) -> None:
    tracker = opened()
    for seed, files in enumerate([[tmp_path / "missing.png"], []]):
        tracker.start_trial(trial(seed), CONDITION, {}, STARTED_AT)
        tracker.end_trial(outcome(trial(seed)), files)
    tracker.log("0" * 16, Progress(step=0, num_steps=1))
    problems = tracker.close()
    assert len(problems) == 2
    assert "missing.png" in problems[0]
    assert "0" * 16 in problems[1]
    statuses = {run.data.params["seed"]: run.info.status for run in store.runs("trial")}
    assert statuses["1"] == "FINISHED"


def test_store_that_cannot_be_opened_is_said_once_and_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, and longer than a header" * 10)
    tracker = MlflowTracker(tmp_path)
    tracker.open_experiment("codebook_size", "")
    tracker.log("0" * 16, Progress(step=0, num_steps=1))
    (problem,) = tracker.close()
    assert "cannot be opened: file is not a database" in problem


def test_path_that_mlflow_misreads_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    runs = tmp_path / "w ë?i#r%20d"
    runs.mkdir()
    tracker = MlflowTracker(runs)
    tracker.open_experiment("codebook_size", "")
    (problem,) = tracker.close()
    assert "expected a path without %, ?, #" in problem
    assert list(tmp_path.rglob("*")) == [runs]


@pytest.mark.parametrize("name", ["my=metric(é)", "..", "/a//b", "", "x" * 300])
def test_metric_is_mirrored_whatever_its_name(
    opened: Callable[..., MlflowTracker], store: Store, name: str
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    tracker.end_trial(replace(outcome(trial()), measurements={name: 0.5}), [])
    assert tracker.close() == ()
    (run,) = store.runs("trial")
    assert run.info.status == "FINISHED"
    assert 0.5 in run.data.metrics.values()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_defect_in_the_writer_is_not_taken_for_success(
    opened: Callable[..., MlflowTracker],
) -> None:
    tracker = opened()
    not_even_text: Any = {"qdexp.commit": 0}
    tracker.start_trial(trial(), CONDITION, not_even_text, STARTED_AT)
    (problem,) = tracker.close()
    assert "the writing thread died" in problem


def test_new_store_is_whole_or_absent_and_made_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db.new").write_bytes(b"killed while migrating")
    tracker = MlflowTracker(tmp_path)
    tracker.open_experiment("fresh", "")
    assert tracker.close() == ()
    assert [each.name for each in tmp_path.iterdir()] == ["mlflow.db"]
    assert len(Store(tmp_path).runs("experiment")) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_ui_is_served_over_http_until_it_is_told_to_stop(
    opened: Callable[..., MlflowTracker], runs: Path
) -> None:
    tracker = opened()
    tracker.start_trial(trial(), CONDITION, {}, STARTED_AT)
    tracker.end_trial(outcome(trial()), [])
    assert tracker.close() == ()
    port = free_port()
    code = (
        "import sys, pathlib; from qdexp.backends.mlflow_tracker import serve; "
        "sys.exit(serve(pathlib.Path(sys.argv[1]), int(sys.argv[2])))"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(runs), str(port)], stderr=subprocess.PIPE, text=True
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
        serve(tmp_path, free_port())


def test_taken_port_is_said(runs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"found {port} unusable"):
            serve(runs, port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


def post(url: str, content: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())
