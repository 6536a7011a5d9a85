"""Stores and servers of MLflow, and a Ray cluster, each started once for many tests."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracking_servers import MlflowServer, postgres

from qdexp.backends.mlflow_tracker import Location, MlflowTracker
from qdexp.execution.ports import Entry


@pytest.fixture(scope="session", autouse=True)
def toys_on_the_path() -> None:
    """Puts `toy_trainables` where a user's own module is: on the driver's path, in no package."""
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was migrated once, since that takes seconds."""
    runs = tmp_path_factory.mktemp("empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, with SQLAlchemy 2.1
        tracker = MlflowTracker(Location(runs=runs))
        tracker.open_experiment(Entry(name="unused", question="", spec=""))
        assert tracker.close() == ()
    return runs / "mlflow.db"


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The URI of a PostgreSQL database of our own."""
    with postgres() as server:
        yield server.uri


@pytest.fixture(scope="session")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow server over it."""
    server = MlflowServer(database, tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from qdexp.backends.ray_tune import local_cluster

    with local_cluster():
        yield
