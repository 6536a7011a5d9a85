"""Where MLflow tracks: the option, then the variable, then the runs folder; no password shown."""

from pathlib import Path

import pytest

from qdexp.backends.mlflow_tracker import location_of
from qdexp.backends.mlflow_tracker.location import VARIABLE
from qdexp.errors import RequestError


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_without_a_word_it_is_the_runs_folder(tmp_path: Path) -> None:
    location = location_of(tmp_path, None)
    assert location.database == tmp_path / "mlflow.db"
    assert location.address == f"sqlite:///{tmp_path}/mlflow.db"
    assert (location.place, location.chosen_by) == ("", "")
    assert location.artifacts == tmp_path / "mlartifacts"
    assert location.silence() == ""


def test_option_counts_before_the_variable_and_local_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "http://variable:5000")
    by_variable = location_of(tmp_path, None)
    assert (by_variable.address, by_variable.chosen_by) == ("http://variable:5000", VARIABLE)
    by_option = location_of(tmp_path, "http://option:5000/")
    assert (by_option.address, by_option.chosen_by) == ("http://option:5000", "--tracking-uri")
    assert location_of(tmp_path, "local").database == tmp_path / "mlflow.db"


def test_server_keeps_artifacts_itself_and_a_database_leaves_them_in_the_runs_folder(
    tmp_path: Path,
) -> None:
    assert location_of(tmp_path, "https://host").artifacts is None
    database = location_of(tmp_path, "postgresql://me@host/name")
    assert database.artifacts == tmp_path / "mlartifacts"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:secret@host:5433/name", "postgresql://me@host:5433/name"),
        ("postgresql://me:sec/ret@secret@host/name", "postgresql://me@host/name"),
        ("postgresql://host/name?password=secret", "postgresql://host/name?password=..."),
        ("http://me:secret@host:5000", "http://me@host:5000"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_password_is_nowhere_but_in_the_address(tmp_path: Path, uri: str, shown: str) -> None:
    location = location_of(tmp_path, uri)
    assert location.place == location.in_words == shown
    assert ("secret" in location.address) == ("secret" in uri)


def test_driver_that_is_installed_is_named_since_sqlalchemy_guesses(tmp_path: Path) -> None:
    location = location_of(tmp_path, "postgresql://me@host/name")
    assert location.address == "postgresql+psycopg://me@host/name"
    named = location_of(tmp_path, "postgresql+psycopg://me@host/name")
    assert named.address == "postgresql+psycopg://me@host/name"


def test_missing_driver_is_said_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qdexp.backends.databases.find_spec", lambda _: None)
    with pytest.raises(RequestError, match=r"pip install 'qdexp\[postgres\]'"):
        location_of(tmp_path, "postgresql://me@host/name")


def test_password_of_a_mistyped_address_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="found 'postgres://me@host/name'"):
        location_of(tmp_path, "postgres://me:secret@host/name")


@pytest.mark.parametrize(
    "uri",
    ["mlruns", "file:///mlruns", "databricks", "http://", "sqlite://", "ftp://host", "host:1"],
)
def test_what_is_no_tracking_uri_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(RequestError, match="--tracking-uri: expected a tracking URI such as"):
        location_of(tmp_path, uri)


def test_variable_that_was_set_for_other_work_is_refused_with_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "databricks")
    with pytest.raises(RequestError) as refused:
        location_of(tmp_path, None)
    assert f"unset {VARIABLE}, or give another by --tracking-uri" in str(refused.value)
    assert "`--tracking-uri local`" in str(refused.value)
