"""The tracker over each kind of store: a file, a database, a server over a database."""

import shutil
from pathlib import Path

import pytest
from tracker_contract import TrackerContract, entry
from tracking_servers import MlflowServer, emptied

from qdexp.backends.mlflow_tracker import Location, MlflowTracker, location_of

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was migrated once, since that takes seconds."""
    runs = tmp_path_factory.mktemp("empty")
    tracker = MlflowTracker(Location(runs=runs))
    tracker.open_experiment(entry("unused"))
    assert tracker.close() == ()
    return runs / "mlflow.db"


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
