"""The one writer of the ledger: what it records is durable when the call returns."""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qdexp.errors import LedgerError
from qdexp.experiment.trial import Condition, Trial
from qdexp.results import schema
from qdexp.results.driver_lock import LOCK_FILE, is_in_use, locked
from qdexp.results.invalidation import (
    Invalidated,
    checked_reason,
    invalidate,
    set_folders_aside,
)
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome
from qdexp.results.provenance import LONG_FACTS
from qdexp.results.records import spec_identity
from qdexp.results.rows import add_outcome
from qdexp.results.troubles import trouble

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["LOCK_FILE", "Recorder", "is_in_use"]


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
        self.runs = runs
        self._path = runs / schema.LEDGER_FILE
        self._lock: int | None = None
        try:
            runs.mkdir(parents=True, exist_ok=True)
            self._lock = locked(runs / LOCK_FILE)
            self._connection = self._connect()
            self.set_folders_aside()
        except (OSError, sqlite3.Error) as error:
            self._let_go()
            raise trouble(self._path, "a writable ledger", error) from error
        except LedgerError:
            self._let_go()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=schema.BUSY_SECONDS, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        is_blank = schema.is_blank(connection)
        if not is_blank:
            schema.version_of(connection, str(self._path))  # or nothing in it is touched
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if is_blank:
            version = f"PRAGMA user_version = {schema.SCHEMA_VERSION};"
            connection.executescript(f"BEGIN; {schema.TABLES} {version} COMMIT;")
        schema.upgrade(connection, str(self._path))

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
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def record_facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps long texts of provenance once; returns the facts with their hashes instead."""
        kept = dict(facts)
        for name in LONG_FACTS & kept.keys():
            kept[name] = hashlib.sha256(kept[name].encode()).hexdigest()
            with self.transaction() as write:
                write.execute(
                    "INSERT OR IGNORE INTO texts VALUES (?, ?)", (kept[name], facts[name])
                )
        return kept

    def record_plan(
        self,
        spec: tuple[str, str, dict[str, Any]],
        trials: Sequence[tuple[Trial, Condition]],
    ) -> dict[str, Any]:
        """Records what an experiment asks for, in one transaction.

        Args:
            spec: The spec's file, text and definition; the definition holds the name.
            trials: The trials in the order of the plan, each with its condition.

        Returns:
            Facts for the provenance of what is run for it: the experiment, and which text of its
            spec.
        """
        file, text, definition = spec
        name = definition["name"]
        now = time.time()
        with self.transaction() as write:
            _add_spec(write, file, text, definition)
            write.execute("UPDATE members SET asked_for = 0 WHERE experiment = ?", (name,))
            for position, (trial, condition) in enumerate(trials):
                write.execute(
                    "INSERT OR IGNORE INTO trials VALUES (?, ?, ?, ?, ?)",
                    (trial.trial_id, trial.trajectory_id, trial.to_json(), now, trial.revision),
                )
                write.execute(
                    "INSERT INTO members VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET"
                    " position = excluded.position, condition = excluded.condition, asked_for = 1",
                    (name, trial.trial_id, position, json.dumps(dict(condition))),
                )
        return {"experiment": name, "spec": spec_identity(text, definition)}

    def record_spec(self, spec: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
        """Records what is asked, and leaves it to others which trials that takes.

        Args:
            spec: As in `record_plan`.

        Returns:
            As `record_plan`.
        """
        file, text, definition = spec
        with self.transaction() as write:
            _add_spec(write, file, text, definition)
        return {"experiment": definition["name"], "spec": spec_identity(text, definition)}

    def record_start(
        self, trial_id: str, started_at: float, started_from: str | None = None
    ) -> None:
        """Records that an attempt began.

        Args:
            trial_id: Whose.
            started_at: Seconds since 1970.
            started_from: The other trial whose checkpoint it begins with, if any.
        """
        with self.transaction() as write:
            write.execute(
                "INSERT INTO starts VALUES (?, ?, ?)", (trial_id, started_at, started_from)
            )

    def record_outcome(self, outcome: Outcome) -> None:
        """Records how an attempt ended, with its history and arrays, in one transaction."""
        with self.transaction() as write:
            add_outcome(write, outcome)

    def record_invalidation(self, prefix: str, because: str) -> list[Invalidated]:
        """Makes a trial's last outcome count no more, and what was made from its weights.

        Args:
            prefix: The beginning of the trial's id.
            because: Why.

        Raises:
            RequestError: There is no such trial, it has no outcome that counts, or no reason is
                given.
        """
        reason = checked_reason(because)
        with Ledger(self.runs) as ledger:
            record = ledger.trial(prefix)
            with self.transaction() as write:
                done = invalidate(write, ledger, record, reason)
        self.set_folders_aside()
        return done

    def set_folders_aside(self) -> None:
        """Moves the folders of invalidated outcomes aside, those that are not yet.

        Raises:
            LedgerError: A folder cannot be moved, or the ledger not written.
        """
        try:
            with self.transaction() as write:
                set_folders_aside(write, self.runs)
        except OSError as error:
            raise trouble(self.runs / "trials", "folders that can be moved aside", error) from error

    def record_mirrored(self, experiment: str, place: str, trial_ids: Sequence[str]) -> None:
        """Records that the tracker at `place` shows the last outcome of these trials."""
        with self.transaction() as write:
            write.executemany(
                "INSERT OR IGNORE INTO mirrored SELECT ?, max(outcome_id), ? FROM outcomes"
                " WHERE trial_id = ? GROUP BY trial_id",
                [(experiment, place, trial_id) for trial_id in trial_ids],
            )

    @contextmanager
    def transaction(self) -> "Generator[sqlite3.Connection]":
        """Lends the ledger for writing: all that is written inside is recorded, or nothing is.

        Raises:
            LedgerError: It cannot be written.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise trouble(self._path, "a ledger that can be written", error) from error


def _add_spec(write: sqlite3.Connection, file: str, text: str, definition: dict[str, Any]) -> None:
    """Adds a text of a spec, unless it is the present one."""
    name, row = definition["name"], (text, json.dumps(definition))
    query = "SELECT text, definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC"
    if write.execute(query, (name,)).fetchone() != row:
        write.execute(
            "INSERT INTO specs (experiment, recorded_at, file, text, definition)"
            " VALUES (?, ?, ?, ?, ?)",
            (name, time.time(), file, *row),
        )
