"""The tracker over each kind of store: a file, a database, a server over a database."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mirrored_trials import Reader, entry
from tracker_contract import TrackerContract
from tracking_servers import MlflowServer, emptied

from qdexp.backends.mlflow_tracker import Location, MlflowTracker, location_of
from qdexp.results.outcome import Progress

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


class TestSqliteInTheRunsFolder(TrackerContract):
    @pytest.fixture
    def location(self, empty_store: Path, tmp_path: Path) -> Location:
        folder = tmp_path / "runs of mine"
        folder.mkdir()
        shutil.copy(empty_store, folder)
        return Location(runs=folder)


@pytest.mark.slow
class TestServerOverPostgresql(TrackerContract):
    @pytest.fixture
    def location(self, server: MlflowServer, database: str, tmp_path: Path) -> Location:
        emptied(database)
        return location_of(tmp_path / "runs", server.url)


@pytest.mark.slow
@pytest.mark.usefixtures("server")  # it makes the tables
class TestPostgresqlItself(TrackerContract):
    @pytest.fixture
    def location(self, database: str, tmp_path: Path) -> Location:
        emptied(database)
        return location_of(tmp_path / "runs", database)


def test_constructing_a_tracker_imports_no_mlflow_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from qdexp.backends.mlflow_tracker import Location, MlflowTracker; "
        "MlflowTracker(Location(runs=pathlib.Path(sys.argv[1]))).close(); "
        "assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert list(tmp_path.iterdir()) == []


def test_store_that_cannot_be_opened_is_said_once_and_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, and longer than a header" * 10)
    tracker = MlflowTracker(Location(runs=tmp_path))
    tracker.open_experiment(entry())
    tracker.log("0" * 16, Progress(step=0, num_steps=1))
    (problem,) = tracker.close()
    assert "cannot be opened: file is not a database" in problem


def test_path_that_mlflow_misreads_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    runs = tmp_path / "w ë?i#r%20d"
    runs.mkdir()
    tracker = MlflowTracker(Location(runs=runs))
    tracker.open_experiment(entry())
    (problem,) = tracker.close()
    assert "expected a path without %, ?, #" in problem
    assert list(tmp_path.rglob("*")) == [runs]


def test_new_store_is_whole_or_absent_and_made_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db.new").write_bytes(b"killed while migrating")
    tracker = MlflowTracker(Location(runs=tmp_path))
    tracker.open_experiment(entry("fresh"))
    assert tracker.close() == ()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db"]
    assert len(Reader(Location(runs=tmp_path)).runs("experiment")) == 1
    assert capfd.readouterr() == ("", "")


def test_sqlite_file_elsewhere_is_made_and_artifacts_stay_in_the_runs_folder(
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere" / "tracking.db"
    location = location_of(tmp_path / "runs", f"sqlite:///{elsewhere}")
    tracker = MlflowTracker(location)
    tracker.open_experiment(entry())
    assert tracker.close() == ()
    (parent,) = Reader(location).runs("experiment")
    assert Reader(location).files(parent) == {"spec.yaml"}
    assert [each.name for each in elsewhere.parent.iterdir()] == ["tracking.db"]
    assert len(list((tmp_path / "runs").rglob("spec.yaml"))) == 1
