"""Another machine's ledger, row by row: each is checked before it is let into ours.

A ledger that was sent by somebody is a file like any other: its texts become folders' names, and
one row that cannot be read would make the whole ledger unreadable.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from qdexp.errors import LedgerError
from qdexp.experiment.trial import Trial
from qdexp.results import schema
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import FINAL, Failure, Outcome
from qdexp.results.packed import outcome_from_packed
from qdexp.results.records import Row, SpecRecord
from qdexp.results.suggestions import OF_SEARCHES, changed_between, suggestions_of

_ID = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

OUTCOMES = """
SELECT o.outcome_id, o.recorded_at, o.status, o.step, o.measurements, o.warnings, o.failure,
       o.provenance, i.invalidated_at, i.because
FROM outcomes o LEFT JOIN invalidations i ON i.outcome_id = o.outcome_id
WHERE o.trial_id = ? ORDER BY o.outcome_id
"""

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class OutcomeRow:
    """An outcome as a ledger has it.

    Args:
        trial_id: Whose.
        outcome_id: Its number in that ledger, which means nothing in another one.
        values: ``recorded_at`` to ``provenance``, as they are stored.
        invalidated_at: When it was invalidated, or None if it counts.
        because: Why, or None.
    """

    trial_id: str
    outcome_id: int
    values: Row
    invalidated_at: float | None
    because: str | None

    @property
    def key(self) -> Row:
        """Equal for one outcome in two ledgers: nobody else ended at that time with all of it."""
        return self.values

    @property
    def is_settled(self) -> bool:
        """Tells whether it is a result that counts."""
        return self.values[1] in FINAL and self.because is None

    def outcome(self) -> Outcome:
        """Returns the outcome without history and arrays.

        Raises:
            ValueError: The values make none.
        """
        _, status, step, measurements, warnings, failure, provenance = self.values
        return Outcome(
            trial_id=self.trial_id,
            status=status,
            step=int(step),
            measurements={str(name): float(v) for name, v in json.loads(measurements).items()},
            warnings=tuple(json.loads(warnings)),
            failure=Failure(**json.loads(failure)) if failure else None,
            provenance=dict(json.loads(provenance)),
        )


def outcome_rows(ledger: Ledger, trial_id: str) -> list[OutcomeRow]:
    """Returns a trial's outcomes as a ledger has them, in its order."""
    return [
        OutcomeRow(
            trial_id=trial_id,
            outcome_id=outcome_id,
            values=tuple(values),
            invalidated_at=at,
            because=because,
        )
        for outcome_id, *values, at, because in ledger.rows(OUTCOMES, trial_id)
    ]


def _spec(row: Row) -> SpecRecord:
    experiment, recorded_at, file, text, definition = row
    return SpecRecord(
        experiment=experiment,
        recorded_at=recorded_at,
        file=file,
        text=text,
        definition=dict(json.loads(definition)),
    )


class ForeignLedger:
    """What there is to import, checked.

    Args:
        ledger: The other ledger.
        origin: Where it is from, in words.
    """

    def __init__(self, ledger: Ledger, origin: str) -> None:
        self.ledger = ledger
        self.origin = origin

    def specs(self) -> Iterator[Row]:
        """Yields experiment, recorded_at, file, text and definition, oldest first."""
        rows = self.ledger.rows(
            "SELECT experiment, recorded_at, file, text, definition FROM specs ORDER BY spec_id"
        )
        for row in rows:
            self._check_experiment(row[0])
            self._read(f"the spec of {row[0]}", lambda row=row: _spec(row).timings)
            yield row

    def trials(self) -> Iterator[Row]:
        """Yields id, trajectory, content, time and revision of every trial."""
        rows = self.ledger.rows(
            "SELECT trial_id, trajectory_id, content, recorded_at, revision FROM trials"
            " ORDER BY trial_id"
        )
        for row in rows:
            for identity in row[:2]:
                if not _ID.fullmatch(str(identity)):
                    raise self._refusal("a trial's id of 16 hexadecimal digits", repr(identity))
            self._read(f"trial {row[0]}", lambda row=row: Trial.from_json(row[2]))
            yield row

    def members(self) -> Iterator[Row]:
        """Yields experiment, trial, position, condition and whether it is asked for."""
        rows = self.ledger.rows(
            "SELECT experiment, trial_id, position, condition, asked_for FROM members"
            " ORDER BY experiment, position, trial_id"
        )
        for row in rows:
            self._check_experiment(row[0])
            self._read(f"the condition of {row[1]}", lambda row=row: dict(json.loads(row[3])))
            yield row

    def searches(self) -> list[str]:
        """Returns the names of the searches that have suggestions."""
        names = [name for (name,) in self.ledger.rows("SELECT DISTINCT search FROM suggestions")]
        for name in names:
            self._check_experiment(name)
        return sorted(names)

    def is_of_search(self, name: str, definition: Mapping[str, Any]) -> bool:
        """Tells whether the present spec of a name is of the same search as one of ours."""
        query = "SELECT definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC LIMIT 1"
        rows = self.ledger.rows(query, name)

        def is_same() -> bool:
            present = [definition, *(json.loads(text) for (text,) in rows)]
            are_searches = len(present) == 2 and all("search" in each for each in present)
            return are_searches and not changed_between(*present)

        return self._read(f"the spec of the search {name}", is_same)

    def search_rows(self, search: str) -> dict[str, list[Row]]:
        """Returns what a search has in each of its tables, as it is stored."""
        self._read(f"the search {search}", lambda: suggestions_of(self.ledger, search))
        found = {
            table: self.ledger.rows(f"SELECT * FROM {table} WHERE search = ?", search)
            for table in OF_SEARCHES
        }
        for table, columns in (("suggestions", 1), ("tellings", 1), ("rungs", 2), ("spent", 1)):
            for row in found[table]:
                numbers = [each for each in row[columns:] if not isinstance(each, str)]
                self._read(f"{table} of {search}", lambda numbers=numbers: [*map(float, numbers)])
        return found

    def starts(self) -> Iterator[Row]:
        """Yields trial, time and origin of every attempt."""
        yield from self.ledger.rows(
            "SELECT trial_id, started_at, started_from FROM starts ORDER BY rowid"
        )

    def outcomes(self, trial_id: str) -> list[OutcomeRow]:
        """Returns a trial's outcomes in their order."""
        rows = outcome_rows(self.ledger, trial_id)
        for row in rows:
            self._read(f"an outcome of {trial_id}", row.outcome)
        return rows

    def blocks(self, row: OutcomeRow) -> list[Row]:
        """Returns kind, name and block of an outcome's histories and arrays."""
        query = "SELECT kind, name, block FROM blocks WHERE outcome_id = ? ORDER BY kind, name"
        blocks = list(self.ledger.rows(query, row.outcome_id))
        for kind, name, block in blocks:
            what = f"{kind} {name} of {row.trial_id}"
            unpack = schema.series_from_block if kind == "history" else schema.array_from_block
            self._read(what, lambda unpack=unpack, block=block: unpack(block))
        return blocks

    def texts(self) -> Iterator[Row]:
        """Yields the long texts, each with its SHA-256."""
        for sha256, text in self.ledger.rows("SELECT sha256, text FROM texts ORDER BY sha256"):
            if hashlib.sha256(str(text).encode()).hexdigest() != sha256:
                raise self._refusal("a text that has its hash", f"another one for {sha256}")
            yield sha256, text

    def disagreements(self) -> Iterator[Row]:
        """Yields trial, hash, time, origin and content of what was imported there."""
        rows = self.ledger.rows(
            "SELECT trial_id, sha256, noticed_at, origin, outcome FROM disagreements"
            " ORDER BY trial_id, sha256"
        )
        for row in rows:
            self._read(f"a disagreement on {row[0]}", lambda row=row: outcome_from_packed(row[4]))
            yield row

    def whole(self, row: OutcomeRow) -> Outcome:
        """Returns an outcome with its history and arrays."""
        outcome = row.outcome()
        for kind, name, block in self.blocks(row):
            if kind == "history":
                outcome.history[name] = schema.series_from_block(block)
            else:
                outcome.arrays[name] = schema.array_from_block(block)
        return outcome

    def _check_experiment(self, name: object) -> None:
        if not _NAME.fullmatch(str(name)):
            raise self._refusal("an experiment's name of letters, digits, '_' and '-'", repr(name))

    def _read(self, what: str, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
            reason = " ".join(str(error).split())[:300]
            raise self._refusal(f"{what} as this version of qdexp has it", reason) from error

    def _refusal(self, expected: str, found: str) -> LedgerError:
        return LedgerError(
            f"{self.origin}: expected {expected}, found: {found}; nothing was imported: the file "
            "is damaged, or another version of qdexp wrote it"
        )
