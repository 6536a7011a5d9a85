"""Where studies are mirrored: what is none is refused at once, and no password is shown."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from qdexp.backends.optuna_suggester import study_url, url_of_file
from qdexp.backends.optuna_suggester.location import opened
from qdexp.errors import RequestError

pytestmark = pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SADeprecationWarning"  # Optuna's models, on SQLAlchemy 2.1
)


def test_database_is_opened_with_a_driver_that_is_installed() -> None:
    assert study_url("postgresql://me@host/name") == "postgresql+psycopg://me@host/name"
    assert study_url("postgresql+psycopg://host/name") == "postgresql+psycopg://host/name"
    assert study_url("sqlite:////folder/a.sqlite") == "sqlite:////folder/a.sqlite"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("optuna.sqlite", "optuna.sqlite"),
        ("me:secret@host/name", "...@host/name"),
        ("postgres://me:secret@host/name", "postgres://me@host/name"),
        ("postgresql:/me:secret@host/name", "postgresql:/me@host/name"),
        ("postgresql://me:sec/ret@host:port/name", "postgresql://me@host:port/name"),
        ("nosuchdatabase://x?password=secret", "nosuchdatabase://x?password=..."),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
    ],
)
def test_what_is_no_database_is_refused_without_its_password(given: str, shown: str) -> None:
    with pytest.raises(RequestError) as refused:
        study_url(given)
    assert (
        "--study-storage: expected a URL such as sqlite:///FILE or postgresql://USER@HOST/NAME"
        in str(refused.value)
    )
    assert str(refused.value).endswith(f"found '{shown}'")


def test_missing_driver_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdexp.backends.databases.find_spec", lambda _: None)
    with pytest.raises(RequestError) as refused:
        study_url("postgresql://me:secret@host/name")
    assert str(refused.value) == (
        "--study-storage: expected an installed driver of this database (psycopg or psycopg2), "
        "found none: `pip install 'qdexp[postgres]'`"
    )


def test_driver_of_a_database_that_we_do_not_know_is_missed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "oracledb", None)
    with pytest.raises(RequestError, match=r"an installed driver of this database \(oracledb\)"):
        study_url("oracle+oracledb://me:secret@host/name")


@pytest.mark.parametrize("name", ["plain", "100%25 sure?", "{braces}", "a#b&c=d", "mit Umlaut ä"])
def test_folder_of_any_name_holds_its_study(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "optuna.sqlite"
    file.parent.mkdir()
    with opened(url_of_file(file)) as storage:
        assert storage.get_all_studies() == []
    assert [each.name for each in file.parent.iterdir()] == ["optuna.sqlite"]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_database_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    before = file.read_bytes()
    with pytest.raises(StorageInternalError, match=r"other tables \(alembic_version\)"):
        opened(url_of_file(file)).__enter__()
    assert file.read_bytes() == before


def test_database_of_another_version_says_so(tmp_path: Path) -> None:
    url = url_of_file(tmp_path / "optuna.sqlite")
    with opened(url):
        pass
    with closing(sqlite3.connect(tmp_path / "optuna.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
        database.commit()
    with pytest.raises(StorageInternalError, match="no longer compatible with the table schema"):
        opened(url).__enter__()
