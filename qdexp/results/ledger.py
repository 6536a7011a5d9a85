"""The ledger as its readers see it: experiments, their trials, and every outcome.

One SQLite file under the runs folder is the truth; MLflow and the reports are made from it.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qdexp.errors import LedgerError, NotFoundError, nearest
from qdexp.experiment.trial import Condition, Trial
from qdexp.results import schema
from qdexp.results.outcome import Array, Failure, Outcome, Series


@dataclass(frozen=True, kw_only=True)
class SpecRecord:
    """One text of an experiment's spec, as it was when trials were asked for.

    Args:
        experiment: The experiment's name.
        recorded_at: Seconds since 1970.
        file: The path that the user gave.
        text: The YAML.
        definition: What it means: question, factors, design, seeds, metrics.
    """

    experiment: str
    recorded_at: float
    file: str
    text: str
    definition: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial with the last that is known of it.

    Args:
        trial_id: The trial's id, as it was when it was recorded.
        trial: What is run.
        condition: Its levels in the experiment that was asked about; empty otherwise.
        is_asked_for: Whether the experiment's present spec asks for it.
        num_starts: Attempts begun.
        started_at: First start, seconds since 1970, or None.
        finished_at: Time of the last outcome, or None.
        outcome: The last outcome without history and arrays, or None.
        revision: The RESULTS_REVISION that is in its id, or None if it was never noted.
        invalidated: Why its last outcome counts no more, or None if it counts.
    """

    trial_id: str
    trial: Trial
    condition: Condition
    is_asked_for: bool
    num_starts: int
    started_at: float | None
    finished_at: float | None
    outcome: Outcome | None
    revision: int | None
    invalidated: str | None


Row = tuple[Any, ...]

_TRIALS = """
SELECT t.trial_id, t.content, o.status, o.step, o.measurements, o.warnings, o.failure, o.provenance,
       o.recorded_at,
       (SELECT count(*) FROM starts s WHERE s.trial_id = t.trial_id),
       (SELECT min(started_at) FROM starts s WHERE s.trial_id = t.trial_id), t.revision, i.because
FROM trials t
LEFT JOIN outcomes o ON o.outcome_id =
    (SELECT max(outcome_id) FROM outcomes x WHERE x.trial_id = t.trial_id)
LEFT JOIN invalidations i ON i.outcome_id = o.outcome_id
"""


class Ledger:
    """Reads the ledger of a runs folder; a folder without one reads as empty.

    Args:
        runs: The runs folder.

    Raises:
        LedgerError: The file is no ledger, or one of another version.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._connection = self._connect(runs / schema.LEDGER_FILE)

    def _connect(self, path: Path) -> sqlite3.Connection:
        try:
            if not path.exists():
                return _empty()
            connection = sqlite3.connect(_uri(path), uri=True, timeout=30)
            if schema.is_blank(connection):
                connection.close()
                return _empty()
            is_older = schema.version_of(connection, str(path)) < schema.SCHEMA_VERSION
            return _upgraded_copy(connection, str(path)) if is_older else connection
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path}: expected a ledger, found: {error}") from error

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
        """Lets go of the file."""
        self._connection.close()

    def experiments(self) -> list[str]:
        """Returns the names of all experiments, oldest first."""
        rows = self._rows("SELECT experiment FROM specs GROUP BY experiment ORDER BY min(spec_id)")
        return [name for (name,) in rows]

    def specs(self, experiment: str) -> list[SpecRecord]:
        """Returns every text that the experiment's spec has had, oldest first.

        Raises:
            NotFoundError: There is no such experiment; the message names the nearest.
        """
        rows = self._rows(
            "SELECT recorded_at, file, text, definition FROM specs WHERE experiment = ?"
            " ORDER BY spec_id",
            experiment,
        )
        records = [
            SpecRecord(
                experiment=experiment,
                recorded_at=recorded_at,
                file=file,
                text=text,
                definition=json.loads(definition),
            )
            for recorded_at, file, text, definition in rows
        ]
        if not records:
            known = self.experiments()
            hint = nearest(experiment, known) or ";"
            raise NotFoundError(
                f"expected an experiment in {self.runs} ({', '.join(known) or 'it has none'}), "
                f"found '{experiment}'{hint} `qdexp run SPEC` makes one"
            )
        return records

    def members(self, experiment: str) -> list[TrialRecord]:
        """Returns the experiment's trials in the order of its plan, formerly asked for ones too."""
        query = (
            _TRIALS.replace("SELECT", "SELECT m.condition, m.asked_for,", 1)
            + "JOIN members m ON m.trial_id = t.trial_id WHERE m.experiment = ?"
            + " ORDER BY m.position, t.trial_id"
        )
        return [
            _record(json.loads(condition), tuple(rest), is_asked_for=bool(asked_for))
            for condition, asked_for, *rest in self._rows(query, experiment)
        ]

    def unmirrored(self, experiment: str) -> list[TrialRecord]:
        """Returns the experiment's trials whose last outcome its tracker does not show yet."""
        query = (
            "SELECT m.trial_id FROM members m JOIN outcomes o ON o.trial_id = m.trial_id"
            " WHERE m.experiment = ?1 AND m.asked_for GROUP BY m.trial_id"
            " HAVING max(o.outcome_id) NOT IN"
            " (SELECT outcome_id FROM mirrored WHERE experiment = ?1)"
        )
        behind = {trial_id for (trial_id,) in self._rows(query, experiment)}
        return [record for record in self.members(experiment) if record.trial_id in behind]

    def trial(self, prefix: str) -> TrialRecord:
        """Returns the trial whose id begins with `prefix`.

        Raises:
            NotFoundError: No trial's id does, or several do.
        """
        query = _TRIALS + "WHERE substr(t.trial_id, 1, length(?1)) = ?1 LIMIT 2"
        rows = list(self._rows(query, prefix))
        if len(rows) != 1 or not prefix:
            found = "no trial" if not rows else "several"
            raise NotFoundError(
                f"expected the beginning of one trial's id, found {found} for '{prefix}' in "
                f"{self.runs}; `qdexp status NAME` lists them"
            )
        return _record({}, rows[0])

    def find(self, trial_id: str) -> TrialRecord | None:
        """Returns the trial with this whole id, or None."""
        rows = list(self._rows(_TRIALS + "WHERE t.trial_id = ?", trial_id))
        return _record({}, rows[0]) if rows else None

    def on_trajectory(self, trajectory_id: str) -> list[TrialRecord]:
        """Returns the trials that share a trajectory: they differ in length and evaluation."""
        rows = self._rows(_TRIALS + "WHERE t.trajectory_id = ? ORDER BY t.trial_id", trajectory_id)
        return [_record({}, row) for row in rows]

    def experiments_of(self, trial_id: str) -> list[str]:
        """Returns the experiments that ask, or once asked, for a trial."""
        rows = self._rows(
            "SELECT experiment FROM members WHERE trial_id = ? ORDER BY experiment", trial_id
        )
        return [name for (name,) in rows]

    def history(self, trial_id: str) -> dict[str, Series]:
        """Returns the histories of a trial's last outcome, by metric."""
        blocks = self._blocks(trial_id, "history")
        return {name: schema.series_from_block(block) for name, block in blocks}

    def arrays(self, trial_id: str) -> dict[str, Array]:
        """Returns the arrays of a trial's last outcome, by name."""
        blocks = self._blocks(trial_id, "array")
        return {name: schema.array_from_block(block) for name, block in blocks}

    def _blocks(self, trial_id: str, kind: str) -> Iterator[tuple[str, bytes]]:
        return self._rows(
            "SELECT name, block FROM blocks WHERE kind = ? AND outcome_id ="
            " (SELECT max(outcome_id) FROM outcomes WHERE trial_id = ?) ORDER BY name",
            kind,
            trial_id,
        )

    def _rows(self, query: str, *values: str) -> Iterator[Row]:
        try:
            with closing(self._connection.execute(query, values)) as cursor:
                yield from cursor.fetchall()
        except sqlite3.Error as error:
            raise LedgerError(
                f"{self.runs / schema.LEDGER_FILE}: expected a readable ledger, found: {error}"
            ) from error


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.TABLES)
    return connection


def _upgraded_copy(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """Returns an older ledger in memory as this version has it; only a writer upgrades the file."""
    copy = sqlite3.connect(":memory:")
    with closing(connection):
        connection.backup(copy)
    schema.upgrade(copy, path)
    return copy


def _uri(path: Path) -> str:
    """Returns how SQLite opens the file to read it.

    A reader of a write-ahead log creates files beside it. Where it may not, and where there is no
    log, nobody writes: the file is immutable.
    """
    has_log = path.with_name(f"{path.name}-wal").exists()
    is_immutable = not has_log and not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if is_immutable else "")


def _record(condition: Condition, row: Row, *, is_asked_for: bool = False) -> TrialRecord:
    key, content, status, step, measurements, warnings, failure, provenance, at, *rest = row
    starts, first, revision, because = rest
    outcome = status and Outcome(
        trial_id=key,
        status=status,
        step=step,
        measurements=json.loads(measurements),
        warnings=tuple(json.loads(warnings)),
        failure=Failure(**json.loads(failure)) if failure else None,
        provenance=json.loads(provenance),
    )
    return TrialRecord(
        trial_id=key,
        trial=Trial.from_json(content),
        condition=condition,
        is_asked_for=is_asked_for,
        num_starts=starts,
        started_at=first,
        finished_at=at,
        outcome=outcome,
        revision=revision,
        invalidated=because,
    )
