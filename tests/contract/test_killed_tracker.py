"""A tracker whose process is killed at any request: the next one leaves one run, each step once."""

import functools
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mirrored_trials import Reader, begun, entry, outcome, trial
from tracking_servers import MlflowServer, emptied

from qdexp.backends.mlflow_tracker import Location, MlflowTracker, location_of
from qdexp.execution.ports import Reported
from qdexp.results.outcome import Progress

# MLflow's own, with SQLAlchemy 2.1. A kill is an exception that ends the writing thread alone.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


class Killer:
    """Counts the requests of a thread to MLflow, and kills it before or after one of them."""

    def __init__(self, at: int, *, is_done: bool) -> None:
        self.at = at
        self.is_done = is_done
        self.requests: list[str] = []

    def watched(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def request(*arguments: object, **named: object) -> object:
            if threading.current_thread().name != "mlflow":
                return call(*arguments, **named)
            self.requests.append(name)
            is_the_one = len(self.requests) == self.at
            if is_the_one and not self.is_done:
                raise SystemExit
            answer = call(*arguments, **named)
            if is_the_one:
                raise SystemExit
            return answer

        return request


def watch(monkeypatch: pytest.MonkeyPatch, killer: Killer) -> None:
    from mlflow import MlflowClient

    from qdexp.backends.mlflow_tracker import runs

    names = [
        *("create_experiment", "set_experiment_tag", "create_run", "update_run", "set_terminated"),
        *("log_batch", "log_inputs", "log_text", "log_artifact", "delete_run", "delete_tag"),
    ]
    for name in names:
        monkeypatch.setattr(MlflowClient, name, killer.watched(name, getattr(MlflowClient, name)))
    monkeypatch.setattr(runs, "http_request", killer.watched("create_run", runs.http_request))


def mirror(location: Location, page: Path) -> tuple[str, ...]:
    tracker = MlflowTracker(location)
    tracker.open_experiment(entry())
    tracker.start_trial(begun(trial()))
    first = Progress(step=0, num_steps=20, measurements={"train.toy": 4.0})
    tracker.log(trial().trial_id, first)
    tracker.end_trial(outcome(trial()), [page])
    tracker.end_experiment(Reported(summary=("better",), page=page))
    return tuple(tracker.close())


def check(location: Location) -> None:
    reader = Reader(location)
    (parent,) = reader.runs("experiment")
    (run,) = reader.runs("trial")
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
    assert reader.history(run, "eval.toy") == [(0, 0.9), (20, 0.5)]
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.params == {"model.num_embeddings": "4096", "seed": "0"}
    assert run.inputs is not None
    assert len(run.inputs.dataset_inputs) == 1
    assert reader.files(run) == {"configuration.json", "report.html"}
    assert reader.files(parent) == {"spec.yaml", "report.html"}
    assert reader.deleted() == []


def killed_and_mirrored_again(location: Location, page: Path, killer: Killer) -> bool:
    """Returns whether the writer was killed; afterwards all is as it should be."""
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, killer)
        problems = mirror(location, page)
    was_killed = any("died" in problem for problem in problems)
    assert was_killed or problems == ()
    assert mirror(location, page) == ()
    check(location)
    return was_killed


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "report.html"
    page.write_text("<p>better</p>")
    return page


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_kill_at_every_request_to_a_file(
    empty_store: Path, tmp_path: Path, page: Path, *, is_done: bool
) -> None:
    num_kills = 0
    while True:
        folder = tmp_path / f"{num_kills}"
        folder.mkdir()
        shutil.copy(empty_store, folder)
        killer = Killer(num_kills + 1, is_done=is_done)
        if not killed_and_mirrored_again(Location(runs=folder), page, killer):
            break
        num_kills += 1
    assert num_kills == len(killer.requests) >= 15
    assert {"create_run", "log_batch", "log_inputs", "set_terminated"} <= {*killer.requests}


@pytest.mark.slow
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_kill_at_some_requests_to_a_server(
    server: MlflowServer, database: str, tmp_path: Path, page: Path, *, is_done: bool
) -> None:
    for at in (1, 4, 7, 9, 12):
        emptied(database)
        location = location_of(tmp_path / "runs", server.url)
        assert killed_and_mirrored_again(location, page, Killer(at, is_done=is_done))
