"""Outcomes that count no more: they stay in the ledger, and their trials begin from scratch.

What was made from an invalidated trial's weights is void with it: students of a teacher, and trials
that went on from its checkpoint. The ledger comes first; folders are moved aside after it, and a
writer that was killed in between is made up for when the next one opens the ledger.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qdexp.errors import RequestError
from qdexp.results.folders import trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, Outcome
from qdexp.results.records import TrialRecord
from qdexp.results.rows import add_outcome

MOST_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Invalidated:
    """A trial whose last outcome counts no more, and why."""

    trial_id: str
    because: str


def checked_reason(because: str) -> str:
    """Returns a reason in one line.

    Raises:
        RequestError: It is empty, too long, or has what cannot be printed.
    """
    line = " ".join(because.split())
    if not line or len(line) > MOST_CHARACTERS or not line.isprintable():
        raise RequestError(
            f"--because: expected a reason of 1 to {MOST_CHARACTERS} printable characters, found "
            f"{len(line)} characters"
        )
    return line


def invalidate(
    write: sqlite3.Connection, ledger: Ledger, record: TrialRecord, because: str
) -> list[Invalidated]:
    """Makes a trial's last outcome count no more, and with it what was made from its weights.

    Args:
        write: A transaction of the ledger's writer.
        ledger: The same ledger, read.
        record: The trial.
        because: Why, in one line.

    Raises:
        RequestError: The trial has no outcome that counts.
    """
    if record.counted is None:
        before = record.invalidated
        found = "none" if before is None else f"one that was invalidated before: {before}"
        raise RequestError(
            f"{record.trial_id}: expected a trial whose last outcome counts, found {found}"
        )
    done = [Invalidated(trial_id=record.trial_id, because=because)]
    _mark(write, record, because)
    for dependent, why in _dependents(ledger, record).values():
        text = f"{why} was invalidated: {because}"
        _mark(write, dependent, text)
        done.append(Invalidated(trial_id=dependent.trial_id, because=text))
    return done


def _mark(write: sqlite3.Connection, record: TrialRecord, because: str) -> None:
    """Invalidates the last outcome; an attempt that has none yet gets one that says so."""
    if record.counted is None:
        failure = Failure(reason=because)
        add_outcome(
            write,
            Outcome(trial_id=record.trial_id, status="cancelled", step=0, failure=failure),
        )
    (outcome_id,) = write.execute(
        "SELECT max(outcome_id) FROM outcomes WHERE trial_id = ?", (record.trial_id,)
    ).fetchone()
    mark_invalid(write, outcome_id, time.time(), because)


def mark_invalid(write: sqlite3.Connection, outcome_id: int, at: float, because: str) -> None:
    """Makes an outcome count no more; the tracker is to show that, and its folder to be moved."""
    write.execute("INSERT INTO invalidations VALUES (?, ?, ?, NULL)", (outcome_id, at, because))
    write.execute("DELETE FROM mirrored WHERE outcome_id = ?", (outcome_id,))


def _dependents(ledger: Ledger, first: TrialRecord) -> dict[str, tuple[TrialRecord, str]]:
    """Returns the trials that began with another's weights, those with theirs, and so on.

    Each with the words for what it began with.
    """
    origins: dict[str, set[str]] = {}
    query = "SELECT DISTINCT trial_id, started_from FROM starts WHERE started_from IS NOT NULL"
    for trial_id, origin in ledger.rows(query):
        origins.setdefault(trial_id, set()).add(origin)
    candidates = [
        each
        for each in ledger.trials()
        if each.num_starts and (each.counted or _has_files(ledger.runs, each.trial_id))
    ]
    found: dict[str, tuple[TrialRecord, str]] = {}
    waiting = [first]
    while waiting:
        former = waiting.pop()
        for each in candidates:
            why = _made_from(former, each, origins)
            if why and each.trial_id != first.trial_id and each.trial_id not in found:
                found[each.trial_id] = (each, why)
                waiting.append(each)
    return found


def _made_from(
    former: TrialRecord, trial: TrialRecord, origins: Mapping[str, set[str]]
) -> str | None:
    """Returns what a trial has of a former one, in words, or None if nothing."""
    teacher = trial.trial.teacher
    # Ids that were recorded by another revision of the code are not those of now: both are made
    # anew, and the revisions compared.
    if teacher and teacher.trial_id == former.trial.trial_id and trial.revision == former.revision:
        return f"its teacher, trial {former.trial_id},"
    if former.trial_id in origins.get(trial.trial_id, ()):
        return f"trial {former.trial_id}, from whose checkpoint it went on,"
    return None


def _has_files(runs: Path, trial_id: str) -> bool:
    return trial_folder(runs, trial_id).exists()


def set_folders_aside(write: sqlite3.Connection, runs: Path) -> None:
    """Moves the folders of invalidated outcomes to ``trials/ID.invalidated-N``, if not yet done.

    Raises:
        OSError: A folder cannot be moved.
    """
    rows: Sequence[tuple[int, str]] = write.execute(
        "SELECT outcome_id, trial_id FROM invalidations JOIN outcomes USING (outcome_id)"
        " WHERE set_aside IS NULL ORDER BY outcome_id"
    ).fetchall()
    for outcome_id, trial_id in rows:
        known = {
            name
            for (name,) in write.execute(
                "SELECT set_aside FROM invalidations JOIN outcomes USING (outcome_id)"
                " WHERE trial_id = ? AND set_aside IS NOT NULL",
                (trial_id,),
            )
        }
        write.execute(
            "UPDATE invalidations SET set_aside = ? WHERE outcome_id = ?",
            (_moved(trial_folder(runs, trial_id), known), outcome_id),
        )


def _moved(folder: Path, known: set[str]) -> str:
    """Moves a folder to the first free name and returns that, or nothing if there is no folder."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.invalidated-{number}")).exists():
        if aside.name not in known and not folder.exists():
            return aside.name  # moved by a writer that was killed before it could say so
        number += 1
    if not folder.exists():
        return ""
    folder.rename(aside)
    return aside.name
