"""Optuna's study in a real PostgreSQL: it agrees with the ledger, whatever the server does."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from searches import Cut, records_of, searched, spec_of
from sqlalchemy.exc import OperationalError
from tracking_servers import Postgres, postgres
from typer.testing import CliRunner

from qdexp.backends.optuna_suggester import OptunaStudyMirror, study_url
from qdexp.cli.app import app
from qdexp.execution.ports import Listener
from qdexp.execution.search_ports import Feed
from qdexp.results.outcome import Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sqlalchemy.exc.SADeprecationWarning"  # Optuna's models, on SQLAlchemy 2.1
    ),
]

PASSWORD = "zeltplatz"
SPEC = """\
name: hill
question: Where is it lowest?
trainable: own_trainables:hill
set: {steps: 2}
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0}
  spoilt: {choices: ['no', nan, raises], when: x > 0.6}
metrics: {primary: error}
budget: {trials: 16}
pruning: {kind: asha, metric: error, steps: [1], reduction_factor: 2}
sampler: random
"""
STATES = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres(PASSWORD) as server:
        yield server


@pytest.fixture
def runs(tmp_path: Path, server: Postgres) -> Path:
    """A runs folder, and no study in the database."""
    with storage_of(server) as storage:
        for each in optuna.get_all_study_summaries(storage):
            optuna.delete_study(study_name=each.study_name, storage=storage)
    return tmp_path / "runs"


@contextmanager
def storage_of(server: Postgres) -> Iterator[optuna.storages.RDBStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(study_url(server.uri))
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def shown(server: Postgres) -> list[FrozenTrial]:
    """Returns the study's trials; none where there is no study yet."""
    with storage_of(server) as storage:
        if not optuna.get_all_study_summaries(storage):
            return []
        return optuna.load_study(study_name="hill", storage=storage).trials


def assert_agrees(server: Postgres, runs: Path) -> None:
    """Every suggestion is told, and the same in the ledger and in the study."""
    records, trials = records_of(runs), shown(server)
    assert len(records) == len(trials) > 0
    for record, trial in zip(records, trials, strict=True):
        assert record.told is not None
        assert trial.state == STATES[record.told.ending]
        assert trial.params == dict(record.suggestion.values)
        assert trial.user_attrs["qdexp.trial_ids"] == list(record.trial_ids)
        assert trial.user_attrs.get("qdexp.reason", "") == record.told.reason
        assert trial.intermediate_values == {
            step: value for rungs in record.rungs.values() for step, value in rungs.items()
        }
        if record.told.ending == "complete":
            assert trial.values == list(record.told.values)


def test_search_is_mirrored_trial_by_trial_and_its_password_nowhere(
    server: Postgres, runs: Path
) -> None:
    spec = runs.parent / "hill.yaml"
    spec.write_text(SPEC)
    command = ["search", spec.name, "--executor", "inline", "--no-tracking", "--no-report"]
    ran = subprocess.run(
        [sys.executable, "-m", "qdexp", *command, "--study-storage", server.uri],
        cwd=runs.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "not mirrored" not in ran.stderr
    assert_agrees(server, runs)
    endings = {each.told.ending for each in records_of(runs) if each.told}
    assert endings == {"complete", "pruned", "failed"}
    assert PASSWORD not in ran.stdout + ran.stderr
    for file in filter(Path.is_file, runs.rglob("*")):
        assert PASSWORD.encode() not in file.read_bytes(), file
    assert not (runs / "optuna.sqlite").exists()


@dataclass
class Calling(Cut):
    """An executor during which something happens: at the report or outcome of this number."""

    call: Callable[[], None] = lambda: None

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        self.inside.follow(feed, _Calling(self, listener), deadline, workers)


class _Calling:
    def __init__(self, by: Calling, inside: Listener) -> None:
        self._by = by
        self.on_start = inside.on_start
        self.on_progress = inside.on_progress
        self._on_outcome = inside.on_outcome

    def on_outcome(self, outcome: Outcome) -> None:
        self._on_outcome(outcome)
        self._by.heard += 1
        if self._by.heard == self._by.after:
            self._by.call()


def test_server_that_goes_away_in_the_middle_is_caught_up_later(
    server: Postgres, runs: Path
) -> None:
    def stop_once_it_shows_something() -> None:
        end = time.monotonic() + 120
        while not shown(server):
            assert time.monotonic() < end
            time.sleep(0.05)
        server.stop()

    spec = spec_of(12)
    mirror = OptunaStudyMirror(study_url(server.uri), spec.definition())
    executor = Calling(after=4, call=stop_once_it_shows_something)
    try:
        done = searched(spec, runs, executor=executor, mirror=mirror)
        said = told("doctor", code=1, runs=runs, server=server)
    finally:
        server.start()
    assert done.why_ended == "12 of 12 trials"
    (note,) = done.notes
    for sentence in (note, said):
        assert "the study hill could not be written to postgresql" in sentence
        assert "refused" in sentence
        assert "call qdexp doctor" in sentence
        assert PASSWORD not in sentence
    assert 0 < len(shown(server)) < 12
    said = told("doctor", code=0, runs=runs, server=server)
    assert "mended: the study hill in postgresql" in said
    assert PASSWORD not in said
    assert_agrees(server, runs)
    assert "all is well" in told("doctor", code=0, runs=runs, server=server)


def test_later_search_catches_up_too_with_a_password_from_elsewhere(
    server: Postgres, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = study_url(server.uri.replace(f":{PASSWORD}", ""))
    searched(spec_of(4), runs)
    done = searched(spec_of(6), runs, mirror=OptunaStudyMirror(url, spec_of(6).definition()))
    assert done.notes == ()
    assert len(shown(server)) == 6
    assert_agrees(server, runs)


def test_wrong_password_is_a_sentence_without_it(server: Postgres, runs: Path) -> None:
    url = study_url(server.uri.replace(PASSWORD, "lagerfeuer"))
    with pytest.raises(OperationalError, match="password authentication failed"):
        optuna.storages.RDBStorage(url)
    done = searched(spec_of(2), runs, mirror=OptunaStudyMirror(url, spec_of(2).definition()))
    (note,) = done.notes
    assert "password authentication failed" in note
    assert "lagerfeuer" not in note


def test_mlflows_database_is_left_as_it_is(server: Postgres, runs: Path) -> None:
    import psycopg

    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE DATABASE other")
    other = server.uri.replace("/postgres", "/other")
    with psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    mirror = OptunaStudyMirror(study_url(other), spec_of(2).definition())
    (note,) = searched(spec_of(2), runs, mirror=mirror).notes
    assert "it holds other tables (alembic_version): studies need one of their own" in note
    with psycopg.connect(other) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == [("alembic_version",)]


def told(command: str, *, code: int, runs: Path, server: Postgres) -> str:
    arguments = [command, "--runs", str(runs), "--tracking-uri", "none"]
    done = CliRunner().invoke(app, [*arguments, "--study-storage", server.uri])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())
