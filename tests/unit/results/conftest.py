"""Machines: runs folders with ledgers that a real writer wrote."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from qdexp.config.presets import preset
from qdexp.experiment.trial import Condition, Trial
from qdexp.results import schema
from qdexp.results.importing import Imported, import_ledger
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Array, Failure, Outcome, Series
from qdexp.results.recorder import Recorder

CONDITION: Condition = {"model.num_embeddings": 8192}


def trial(seed: int = 0, **fields: Any) -> Trial:  # noqa: ANN401
    dotted = {name.replace("__", "."): value for name, value in fields.items()}
    configuration = preset("tiny").replace(dotted)
    return Trial(configuration=configuration, seed=seed, data_fingerprint="d")


def completed(of: Trial, loss: float = 0.25, **facts: Any) -> Outcome:  # noqa: ANN401
    return Outcome(
        trial_id=of.trial_id,
        status="completed",
        step=200,
        measurements={"eval.denoising_loss": loss, "cost.step_seconds": 0.1},
        history={"train.loss": Series(steps=(10, 20), values=(1.0, 0.5))},
        arrays={"eval.clip_errors": Array(shape=(2,), values=(0.1, 0.4))},
        warnings=("codebook collapsed",),
        provenance={"commit": "abc", **facts},
    )


def failed(of: Trial, reason: str = "ValueError: no") -> Outcome:
    failure = Failure(reason=reason, kind="exception", step=7)
    return Outcome(trial_id=of.trial_id, status="failed", step=7, failure=failure)


class Machine:
    """A runs folder."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def asks(self, *trials: Trial, text: str = "text", name: str = "sizes") -> None:
        definition = {"name": name, "question": "?"}
        with Recorder(self.runs) as recorder:
            recorder.record_plan(
                ("spec.yaml", text, definition), [(each, CONDITION) for each in trials]
            )

    def ends(self, *outcomes: Outcome, started_from: str | None = None) -> None:
        with Recorder(self.runs) as recorder:
            for number, outcome in enumerate(outcomes):
                recorder.record_start(outcome.trial_id, 5.0 + number, started_from)
                recorder.record_outcome(outcome)

    def runs_trial(self, of: Trial, loss: float = 0.25, text: str = "text") -> None:
        self.asks(of, text=text)
        self.ends(completed(of, loss))

    def invalidates(self, of: Trial, because: str = "wrong data") -> list[str]:
        with Recorder(self.runs) as recorder:
            done = recorder.record_invalidation(of.trial_id, because)
        return [each.trial_id for each in done]

    def keeps(self, of: Trial, name: str, content: bytes = b"content") -> Path:
        path = self.folder(of) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def folder(self, of: Trial) -> Path:
        return self.runs / "trials" / of.trial_id

    def imports(self, other: "Machine | Path", *, with_files: bool = True) -> Imported:
        place = other.runs if isinstance(other, Machine) else other
        return import_ledger(place, self.runs, with_files=with_files)

    def knows(self, of: Trial) -> TrialRecord:
        with Ledger(self.runs) as ledger:
            record = ledger.find(of.trial_id)
        assert record is not None
        return record

    def counts(self, of: Trial) -> float | None:
        """Returns the loss that counts."""
        outcome = self.knows(of).counted
        return outcome.measurements.get("eval.denoising_loss") if outcome else None

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Returns all that is in the ledger, with the tracker's part left out."""
        tables = (
            "specs", "trials", "members", "starts", "outcomes", "invalidations", "blocks",
            "disagreements", "texts",
        )  # fmt: skip
        with closing(sqlite3.connect(self.runs / schema.LEDGER_FILE)) as connection:
            return {
                table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
                for table in tables
            }


class Machines:
    """Makes machines, trials and outcomes: test modules cannot import them from here."""

    trial = staticmethod(trial)
    completed = staticmethod(completed)
    failed = staticmethod(failed)
    replaced = staticmethod(replace)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> Machine:
        return Machine(self._folder / name)


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


@pytest.fixture
def here(machines: Machines) -> Machine:
    return machines("here")


@pytest.fixture
def there(machines: Machines) -> Machine:
    return machines("there")


VERSION_1 = """
CREATE TABLE specs (spec_id INTEGER PRIMARY KEY, experiment TEXT NOT NULL,
    recorded_at REAL NOT NULL, file TEXT NOT NULL, text TEXT NOT NULL, definition TEXT NOT NULL);
CREATE INDEX specs_of ON specs (experiment, spec_id);
CREATE TABLE trials (trial_id TEXT PRIMARY KEY, trajectory_id TEXT NOT NULL,
    content TEXT NOT NULL, recorded_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX trials_on ON trials (trajectory_id);
CREATE TABLE members (experiment TEXT NOT NULL, trial_id TEXT NOT NULL REFERENCES trials,
    position INTEGER NOT NULL, condition TEXT NOT NULL, asked_for INTEGER NOT NULL,
    PRIMARY KEY (experiment, trial_id)) WITHOUT ROWID;
CREATE INDEX members_of ON members (trial_id);
CREATE TABLE starts (trial_id TEXT NOT NULL REFERENCES trials, started_at REAL NOT NULL);
CREATE INDEX starts_of ON starts (trial_id);
CREATE TABLE outcomes (outcome_id INTEGER PRIMARY KEY, trial_id TEXT NOT NULL REFERENCES trials,
    recorded_at REAL NOT NULL, status TEXT NOT NULL, step INTEGER NOT NULL,
    measurements TEXT NOT NULL, warnings TEXT NOT NULL, failure TEXT, provenance TEXT NOT NULL);
CREATE INDEX outcomes_of ON outcomes (trial_id, outcome_id);
CREATE TABLE mirrored (experiment TEXT NOT NULL, outcome_id INTEGER NOT NULL REFERENCES outcomes,
    PRIMARY KEY (experiment, outcome_id)) WITHOUT ROWID;
CREATE TABLE blocks (outcome_id INTEGER NOT NULL REFERENCES outcomes, kind TEXT NOT NULL,
    name TEXT NOT NULL, block BLOB NOT NULL, PRIMARY KEY (outcome_id, kind, name)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""The tables as they were before the version that these tests are of."""


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A runs folder whose ledger the first version wrote: one trial, completed."""
    runs, of = tmp_path / "version_1", trial()
    runs.mkdir()
    with closing(sqlite3.connect(runs / schema.LEDGER_FILE)) as write:
        write.executescript(VERSION_1)
        definition = '{"name": "sizes", "question": "?"}'
        write.execute("INSERT INTO specs VALUES (1, 'sizes', 1.0, 'f', 'text', ?)", (definition,))
        write.execute(
            "INSERT INTO trials VALUES (?, ?, ?, 1.0)",
            (of.trial_id, of.trajectory_id, of.to_json()),
        )
        condition = '{"model.num_embeddings": 8192}'
        write.execute("INSERT INTO members VALUES ('sizes', ?, 0, ?, 1)", (of.trial_id, condition))
        write.execute("INSERT INTO starts VALUES (?, 1.0)", (of.trial_id,))
        write.execute(
            "INSERT INTO outcomes VALUES (1, ?, 2.0, 'completed', 200, ?, '[]', NULL, '{}')",
            (of.trial_id, '{"eval.denoising_loss": 0.25}'),
        )
        block = schema.block_from_series(Series(steps=(10,), values=(0.5,)))
        write.execute("INSERT INTO blocks VALUES (1, 'history', 'train.loss', ?)", (block,))
        write.commit()
    return runs


@pytest.fixture
def read_only() -> Callable[[Path], AbstractContextManager[Path]]:
    """Returns what shows a folder on a file system that takes no writing, root's included."""

    @contextmanager
    def shown(folder: Path) -> Generator[Path]:
        with TemporaryDirectory() as place:
            options = "mode=700"
            mounts = (
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
                ["mount", "-o", "remount,ro", place],
            )
            if subprocess.run(mounts[0], capture_output=True, check=False).returncode:
                pytest.skip("a file system cannot be mounted here")
            try:
                copy = Path(place, "runs")
                shutil.copytree(folder, copy)
                subprocess.run(mounts[1], check=True)
                yield copy
            finally:
                subprocess.run(["umount", place], check=True)

    return shown
