"""The one writer of the ledger: what it records is durable when the call returns."""

import fcntl
import json
import os
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qdexp.config.revision import RESULTS_REVISION
from qdexp.errors import LedgerError, LedgerInUseError
from qdexp.experiment.trial import Condition, Trial
from qdexp.results import schema
from qdexp.results.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Generator

LOCK_FILE = "driver.lock"


class Recorder:
    """Writes the ledger of a runs folder, alone.

    The lock is the kernel's, so it ends with the process that holds it, however that ends.

    Args:
        runs: The runs folder; made if missing.

    Raises:
        LedgerInUseError: Another driver has it open; the message names it.
        LedgerError: The ledger cannot be written.
    """

    def __init__(self, runs: Path) -> None:
        self._path = runs / schema.LEDGER_FILE
        try:
            runs.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(runs / LOCK_FILE)
            self._connection = self._connect()
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(
                f"{self._path}: expected a writable ledger, found: {error}; {_remedy(error)}, or "
                "choose another folder with --runs"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        if not schema.is_blank(connection):  # one of a newer version is not touched
            schema.version_of(connection, str(self._path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if schema.is_blank(connection):
            version = f"PRAGMA user_version = {schema.SCHEMA_VERSION};"
            connection.executescript(f"BEGIN; {schema.TABLES} {version} COMMIT;")
        schema.upgrade(connection, str(self._path))
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Folds the write-ahead log into the file and lets the next driver in.

        Without the log, readers need to create nothing beside the file.
        """
        with suppress(sqlite3.OperationalError):  # somebody reads now: the log stays, which is safe
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        os.close(self._lock)

    def record_plan(
        self,
        spec: tuple[str, str, dict[str, Any]],
        trials: Sequence[tuple[Trial, Condition]],
    ) -> None:
        """Records what an experiment asks for, in one transaction.

        Args:
            spec: The spec's file, text and definition; the definition holds the name.
            trials: The trials in the order of the plan, each with its condition.
        """
        file, text, definition = spec
        name = definition["name"]
        now = time.time()
        with self._transaction() as write:
            last = write.execute(
                "SELECT text, definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC",
                (name,),
            ).fetchone()
            row = (text, json.dumps(definition))
            if last != row:
                write.execute(
                    "INSERT INTO specs (experiment, recorded_at, file, text, definition)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (name, now, file, *row),
                )
            write.execute("UPDATE members SET asked_for = 0 WHERE experiment = ?", (name,))
            for position, (trial, condition) in enumerate(trials):
                write.execute(
                    "INSERT OR IGNORE INTO trials VALUES (?, ?, ?, ?, ?)",
                    (trial.trial_id, trial.trajectory_id, trial.to_json(), now, RESULTS_REVISION),
                )
                write.execute(
                    "INSERT INTO members VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET"
                    " position = excluded.position, condition = excluded.condition, asked_for = 1",
                    (name, trial.trial_id, position, json.dumps(dict(condition))),
                )

    def record_start(self, trial_id: str, started_at: float) -> None:
        """Records that an attempt began, at `started_at` seconds since 1970."""
        with self._transaction() as write:
            write.execute("INSERT INTO starts VALUES (?, ?)", (trial_id, started_at))

    def record_outcome(self, outcome: Outcome) -> None:
        """Records how an attempt ended, with its history and arrays, in one transaction."""
        failure = json.dumps(asdict(outcome.failure)) if outcome.failure else None
        with self._transaction() as write:
            cursor = write.execute(
                "INSERT INTO outcomes (trial_id, recorded_at, status, step, measurements,"
                " warnings, failure, provenance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    outcome.trial_id,
                    time.time(),
                    outcome.status,
                    outcome.step,
                    json.dumps(outcome.measurements),
                    json.dumps(outcome.warnings),
                    failure,
                    json.dumps(outcome.provenance),
                ),
            )
            blocks = [
                ("history", name, schema.block_from_series(series))
                for name, series in outcome.history.items()
            ] + [
                ("array", name, schema.block_from_array(numbers))
                for name, numbers in outcome.arrays.items()
            ]
            write.executemany(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                [(cursor.lastrowid, *block) for block in blocks],
            )

    def record_mirrored(self, experiment: str) -> None:
        """Records that the tracker shows the last outcome of each trial that is asked for."""
        with self._transaction() as write:
            write.execute(
                "INSERT OR IGNORE INTO mirrored SELECT m.experiment, max(o.outcome_id)"
                " FROM members m JOIN outcomes o ON o.trial_id = m.trial_id"
                " WHERE m.experiment = ? AND m.asked_for GROUP BY m.trial_id",
                (experiment,),
            )

    @contextmanager
    def _transaction(self) -> "Generator[sqlite3.Connection]":
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(
                f"{self._path}: could not be written ({error}); {_remedy(error)}, then give the "
                "same command again: what is recorded is kept"
            ) from error


def _remedy(error: Exception) -> str:
    if "locked" in str(error):
        return "another program has it open and is writing: close that one"
    return "free disk space or mend its permissions"


def is_in_use(runs: Path) -> bool:
    """Tells whether a driver is writing to the runs folder now."""
    try:
        descriptor = os.open(runs / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(path: Path) -> int:
    """Opens and locks a file, and writes into it who holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        raise LedgerInUseError(
            f"expected a runs folder that no other driver uses, found {path.parent} in use by "
            f"{holder or 'another process'}; wait for it, or choose another with --runs"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return descriptor
