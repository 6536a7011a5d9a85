"""What a search suggested and how each suggestion ended: the truth that its sampler is told.

Rows are only ever added. Optuna's storage is a mirror of them.
"""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger

Origin = Literal["baseline", "enqueued", "sampler", "ledger"]
"""Where a suggestion came from; `ledger`: its results were there before the search began."""

OF_SEARCHES = ("suggestions", "tellings", "rungs", "spent")
"""The tables that belong to searches, each with the search in its first column."""

UNCHANGEABLE = ("space", "objectives")
"""What makes two searches different ones, beside what is in their trials' ids."""

Ending = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, kw_only=True)
class Told:
    """How a suggestion ended.

    Args:
        ending: `failed` also where a trial of it diverged, timed out or was cancelled.
        values: The objectives in their order, means over the seeds, if it is complete.
        reason: Why it is not.
    """

    ending: Ending
    values: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A configuration that a search tries.

    Args:
        number: 0 for the baseline, and then in the order in which they were made.
        values: A value for every parameter that acts, by field, in the space's order.
        origin: Where it came from.
        attributes: What its sampler has to be told of it again, plain JSON.
    """

    number: int
    values: Condition
    origin: Origin
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SuggestionRecord:
    """A suggestion with what the ledger knows of it.

    Args:
        suggestion: What was suggested.
        suggested_at: When, in seconds since 1970.
        trial_ids: Its trials, a seed each, in the order of the seeds.
        told: How it ended, or None while it has not.
        rungs: Values of the pruning metric, by trial and step, as they were reported.
        told_at: When it ended, in seconds since 1970.
    """

    suggestion: Suggestion
    suggested_at: float
    trial_ids: tuple[str, ...]
    told: Told | None
    rungs: Mapping[str, Mapping[int, float]]
    told_at: float | None = None

    @property
    def objectives(self) -> tuple[float, ...]:
        """What it measured, or nothing unless it is complete."""
        return self.told.values if self.told and self.told.ending == "complete" else ()


def add_suggestion(
    write: sqlite3.Connection, search: str, suggestion: Suggestion, trials: Sequence[Trial]
) -> float:
    """Adds a suggestion, its trials, and them to the search's members, in an open transaction.

    Returns:
        When it was suggested, in seconds since 1970.
    """
    content = {
        "values": dict(suggestion.values),
        "origin": suggestion.origin,
        "attributes": dict(suggestion.attributes),
        "trial_ids": [trial.trial_id for trial in trials],
    }
    now = time.time()
    row = (search, suggestion.number, now, json.dumps(content))
    write.execute("INSERT INTO suggestions VALUES (?, ?, ?, ?)", row)
    condition = json.dumps(dict(suggestion.values))
    for index, trial in enumerate(trials):
        position = suggestion.number * len(trials) + index
        _add_member(write, search, trial, position, condition)
    return now


def add_teacher(write: sqlite3.Connection, search: str, number: int, teacher: Trial) -> None:
    """Adds to the search's members what trials of a suggestion learn from, unless it is one."""
    known = "SELECT 1 FROM members WHERE experiment = ? AND trial_id = ?"
    if write.execute(known, (search, teacher.trial_id)).fetchone() is None:
        _add_member(write, search, teacher, number, "{}")


def _add_member(
    write: sqlite3.Connection, search: str, trial: Trial, position: int, condition: str
) -> None:
    write.execute(
        "INSERT OR IGNORE INTO trials VALUES (?, ?, ?, ?, ?)",
        (trial.trial_id, trial.trajectory_id, trial.to_json(), time.time(), trial.revision),
    )
    write.execute(
        "INSERT INTO members VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET"
        " position = excluded.position, condition = excluded.condition, asked_for = 1",
        (search, trial.trial_id, position, condition),
    )


def add_telling(write: sqlite3.Connection, search: str, number: int, told: Told) -> float:
    """Adds how a suggestion ended, in an open transaction.

    Returns:
        When it was told, in seconds since 1970.
    """
    content = {"ending": told.ending, "values": list(told.values), "reason": told.reason}
    now = time.time()
    write.execute(
        "INSERT INTO tellings VALUES (?, ?, ?, ?)", (search, number, now, json.dumps(content))
    )
    return now


def add_rung(
    write: sqlite3.Connection, search: str, trial_id: str, step: int, value: float
) -> None:
    """Adds what a running trial reported where it may be stopped, in an open transaction.

    A trial that runs again from an earlier checkpoint reports the same again.
    """
    write.execute(
        "INSERT OR IGNORE INTO rungs VALUES (?, ?, ?, ?)", (search, trial_id, step, value)
    )


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """How long the trials of a search ran, over all its runs.

    Args:
        seconds: In which at least one of them ran.
        gpu_seconds: Of all of them, times the GPUs of each.
    """

    seconds: float = 0.0
    gpu_seconds: float = 0.0

    def __add__(self, other: "TimeSpent") -> "TimeSpent":
        return TimeSpent(
            seconds=self.seconds + other.seconds, gpu_seconds=self.gpu_seconds + other.gpu_seconds
        )


def add_time_spent(write: sqlite3.Connection, search: str, more: TimeSpent) -> None:
    """Adds how long trials of a search ran since the last time, in an open transaction."""
    row = (search, time.time(), more.seconds, more.gpu_seconds)
    write.execute("INSERT INTO spent VALUES (?, ?, ?, ?)", row)


def time_spent(ledger: Ledger, search: str) -> TimeSpent:
    """Returns how long the trials of a search ran; what a kill came before is not known."""
    query = "SELECT total(seconds), total(gpu_seconds) FROM spent WHERE search = ?"
    ((seconds, gpu_seconds),) = ledger.rows(query, search)
    return TimeSpent(seconds=seconds, gpu_seconds=gpu_seconds)


def is_search(ledger: Ledger, name: str) -> bool:
    """Tells whether an experiment of that name is a search."""
    query = "SELECT definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC LIMIT 1"
    rows = ledger.rows(query, name)
    return bool(rows) and "search" in json.loads(rows[0][0])


def changed_between(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Returns what makes the searches of two specs' definitions different ones, or nothing."""
    return [part for part in UNCHANGEABLE if one["search"][part] != other["search"][part]]


def suggestions_of(ledger: Ledger, search: str) -> list[SuggestionRecord]:
    """Returns what a search suggested so far, in order; nothing for what is no search."""
    rungs: dict[str, dict[int, float]] = {}
    query = "SELECT trial_id, step, value FROM rungs WHERE search = ? ORDER BY step"
    for trial_id, step, value in ledger.rows(query, search):
        rungs.setdefault(trial_id, {})[step] = value
    rows = ledger.rows(
        "SELECT s.number, s.suggested_at, s.content, t.content, t.told_at FROM suggestions s"
        " LEFT JOIN tellings t ON t.search = s.search AND t.number = s.number"
        " WHERE s.search = ? ORDER BY s.number",
        search,
    )
    return [_record(row, rungs) for row in rows]


def numbers_of(records: Sequence[SuggestionRecord]) -> dict[str, int]:
    """Returns which suggestion each trial is of."""
    return {
        trial_id: record.suggestion.number for record in records for trial_id in record.trial_ids
    }


def _record(row: Sequence[Any], rungs: Mapping[str, Mapping[int, float]]) -> SuggestionRecord:
    number, suggested_at, made, told, told_at = row
    content: dict[str, Any] = json.loads(made)
    trial_ids: list[str] = content.pop("trial_ids")
    ended: dict[str, Any] | None = json.loads(told) if told else None
    return SuggestionRecord(
        suggestion=Suggestion(number=number, **content),
        suggested_at=suggested_at,
        trial_ids=tuple(trial_ids),
        told=_told(**ended) if ended else None,
        rungs={each: rungs[each] for each in trial_ids if each in rungs},
        told_at=told_at,
    )


def _told(ending: Ending, values: list[float], reason: str) -> Told:
    return Told(ending=ending, values=tuple(values), reason=reason)
