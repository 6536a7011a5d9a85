"""The ledger as its readers see it: experiments, their trials, and every outcome.

One SQLite file under the runs folder is the truth; MLflow and the reports are made from it.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from qdexp.errors import LedgerError, NotFoundError, nearest
from qdexp.results import schema
from qdexp.results.comparison import disagreement
from qdexp.results.ledger_file import opened
from qdexp.results.outcome import Array, Series
from qdexp.results.packed import outcome_from_packed
from qdexp.results.records import (
    TRIALS,
    OtherOutcome,
    Row,
    SpecRecord,
    TrialRecord,
    record_from_row,
)
from qdexp.results.troubles import trouble

__all__ = ["Ledger", "SpecRecord", "TrialRecord"]

Read = TypeVar("Read")


class Ledger:
    """Reads the ledger of a runs folder; a folder without one reads as empty.

    Args:
        runs: The runs folder, or a ledger's file, whatever its name.

    Raises:
        LedgerError: The file is no ledger, or one of another version.
    """

    def __init__(self, runs: Path) -> None:
        self.file = runs if runs.is_file() else runs / schema.LEDGER_FILE
        self.runs = self.file.parent
        self._connection = opened(self.file)

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
        rows = self.rows("SELECT experiment FROM specs GROUP BY experiment ORDER BY min(spec_id)")
        return [name for (name,) in rows]

    def specs(self, experiment: str) -> list[SpecRecord]:
        """Returns every text that the experiment's spec has had, oldest first.

        Raises:
            NotFoundError: There is no such experiment; the message names the nearest.
        """
        rows = self.rows(
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
            TRIALS.replace("SELECT", "SELECT m.condition, m.asked_for,", 1)
            + "JOIN members m ON m.trial_id = t.trial_id WHERE m.experiment = ?"
            + " ORDER BY m.position, t.trial_id"
        )
        rows = self.rows(query, experiment)
        return self._sensible(
            lambda: [
                record_from_row(json.loads(condition), tuple(rest), is_asked_for=bool(asked_for))
                for condition, asked_for, *rest in rows
            ]
        )

    def unmirrored(self, experiment: str, place: str = "") -> list[TrialRecord]:
        """Returns the experiment's trials whose last outcome the tracker at `place` lacks."""
        query = (
            "SELECT m.trial_id FROM members m JOIN outcomes o ON o.trial_id = m.trial_id"
            " WHERE m.experiment = ?1 AND m.asked_for GROUP BY m.trial_id"
            " HAVING max(o.outcome_id) NOT IN"
            " (SELECT outcome_id FROM mirrored WHERE experiment = ?1 AND place = ?2)"
        )
        behind = {trial_id for (trial_id,) in self.rows(query, experiment, place)}
        if not behind:
            return []
        return [record for record in self.members(experiment) if record.trial_id in behind]

    def places(self) -> list[str]:
        """Returns where trackers have shown outcomes; empty for the runs folder's own store."""
        return [place for (place,) in self.rows("SELECT DISTINCT place FROM mirrored")]

    def trial(self, prefix: str) -> TrialRecord:
        """Returns the trial whose id begins with `prefix`.

        Raises:
            NotFoundError: No trial's id does, or several do.
        """
        query = TRIALS + "WHERE substr(t.trial_id, 1, length(?1)) = ?1 LIMIT 2"
        rows = self.rows(query, prefix)
        if len(rows) != 1 or not prefix:
            found = "no trial" if not rows else "several"
            raise NotFoundError(
                f"expected the beginning of one trial's id, found {found} for '{prefix}' in "
                f"{self.runs}; `qdexp status NAME` lists them"
            )
        return self._records(rows)[0]

    def find(self, trial_id: str) -> TrialRecord | None:
        """Returns the trial with this whole id, or None."""
        records = self._records(self.rows(TRIALS + "WHERE t.trial_id = ?", trial_id))
        return records[0] if records else None

    def trials(self) -> list[TrialRecord]:
        """Returns every trial, whoever asks for it."""
        return self._records(self.rows(TRIALS + "ORDER BY t.trial_id"))

    def has_outcomes(self, trial_ids: Sequence[str]) -> bool:
        """Tells whether each of these trials has an outcome, of whatever kind."""
        query = (
            "SELECT count(DISTINCT trial_id) FROM outcomes"
            " WHERE trial_id IN (SELECT value FROM json_each(?))"
        )
        ((number,),) = self.rows(query, json.dumps(list(trial_ids)))
        return number == len(set(trial_ids))

    def on_trajectory(self, trajectory_id: str) -> list[TrialRecord]:
        """Returns the trials that share a trajectory: they differ in length and evaluation."""
        rows = self.rows(TRIALS + "WHERE t.trajectory_id = ? ORDER BY t.trial_id", trajectory_id)
        return self._records(rows)

    def experiments_of(self, trial_id: str) -> list[str]:
        """Returns the experiments that ask, or once asked, for a trial."""
        rows = self.rows(
            "SELECT experiment FROM members WHERE trial_id = ? ORDER BY experiment", trial_id
        )
        return [name for (name,) in rows]

    def history(self, trial_id: str) -> dict[str, Series]:
        """Returns the histories of a trial's last outcome, by metric."""
        blocks = self._blocks(trial_id, "history")
        return self._sensible(
            lambda: {name: schema.series_from_block(block) for name, block in blocks}
        )

    def arrays(self, trial_id: str) -> dict[str, Array]:
        """Returns the arrays of a trial's last outcome, by name."""
        blocks = self._blocks(trial_id, "array")
        return self._sensible(
            lambda: {name: schema.array_from_block(block) for name, block in blocks}
        )

    def others(self, record: TrialRecord) -> list[OtherOutcome]:
        """Returns the imported outcomes of a trial that disagree with its last one."""
        rows = self.rows(
            "SELECT origin, noticed_at, outcome FROM disagreements WHERE trial_id = ?"
            " ORDER BY sha256",
            record.trial_id,
        )
        outcome = record.outcome
        if outcome is None or not rows:
            return []
        timings = self.timings()

        def read() -> list[OtherOutcome]:
            found: list[OtherOutcome] = []
            for origin, noticed_at, content in rows:
                other = outcome_from_packed(content)
                numbers = disagreement(outcome, other, timings)
                if numbers is not None:
                    found.append(
                        OtherOutcome(
                            origin=origin,
                            noticed_at=noticed_at,
                            outcome=other,
                            numbers=tuple(numbers),
                        )
                    )
            return found

        return self._sensible(read)

    def timings(self) -> frozenset[str]:
        """Returns the metrics of users' own trainings that are declared as timings."""
        specs = (spec for name in self.experiments() for spec in self.specs(name))
        return frozenset(name for spec in specs for name in spec.timings)

    def spec(self, identity: str) -> SpecRecord | None:
        """Returns the spec with this identity, of whatever experiment, or None."""
        specs = (spec for name in self.experiments() for spec in self.specs(name))
        return next((spec for spec in specs if spec.identity == identity), None)

    def text(self, sha256: str) -> str | None:
        """Returns the long text that provenance refers to by its hash, or None."""
        rows = self.rows("SELECT text FROM texts WHERE sha256 = ?", sha256)
        return rows[0][0] if rows else None

    def set_aside(self, trial_id: str) -> list[tuple[str, str]]:
        """Returns the folders that invalidated files of a trial lie in, each with the reason."""
        return [
            (folder, because)
            for folder, because in self.rows(
                "SELECT i.set_aside, i.because FROM invalidations i"
                " JOIN outcomes o ON o.outcome_id = i.outcome_id"
                " WHERE o.trial_id = ? AND coalesce(i.set_aside, '') != '' ORDER BY i.outcome_id",
                trial_id,
            )
        ]

    def _blocks(self, trial_id: str, kind: str) -> list[tuple[str, bytes]]:
        return self.rows(
            "SELECT name, block FROM blocks WHERE kind = ? AND outcome_id ="
            " (SELECT max(outcome_id) FROM outcomes WHERE trial_id = ?) ORDER BY name",
            kind,
            trial_id,
        )

    def rows(self, query: str, *values: str | int) -> list[Row]:
        """Returns what a query finds, as it is: for whoever moves ledgers.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        try:
            with closing(self._connection.execute(query, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Makes all that is read inside come from one moment, whoever writes meanwhile.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        try:
            self._connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def _records(self, rows: list[Row]) -> list[TrialRecord]:
        return self._sensible(lambda: [record_from_row({}, row) for row in rows])

    def _sensible(self, read: Callable[[], Read]) -> Read:
        """Returns what `read` makes of rows; rows that make no sense are a damaged ledger."""
        try:
            return read()
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> LedgerError:
        return trouble(self.file, "a readable ledger", error)
