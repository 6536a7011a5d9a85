"""How many trials stand, asked for all at once: one query where each would need its own."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import FINAL, Outcome


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The last that the ledger knows of a trial, without what it measured.

    Args:
        status: Of its last outcome, or None if it has none.
        step: Of that outcome.
        reason: Why it did not complete, or empty.
        kind: What sort of failure it was, if it was one.
        invalidated: Why that outcome counts no more, or None if it counts.
    """

    status: str | None
    step: int = 0
    reason: str = ""
    kind: str | None = None
    invalidated: str | None = None

    @property
    def is_final(self) -> bool:
        """Tells whether the trial is done for good."""
        return self.status in FINAL and self.invalidated is None

    @property
    def is_completed(self) -> bool:
        """Tells whether it completed, and that counts."""
        return self.status == "completed" and self.invalidated is None


@dataclass(frozen=True, kw_only=True)
class FormerMember:
    """A trial that an experiment asked for, under the id that it had then."""

    trial_id: str
    trial: Trial
    condition: Condition
    revision: int | None


_LAST = """
FROM trials t
LEFT JOIN outcomes o ON o.outcome_id =
    (SELECT max(outcome_id) FROM outcomes x WHERE x.trial_id = t.trial_id)
LEFT JOIN invalidations i ON i.outcome_id = o.outcome_id
"""


def standings(ledger: Ledger, trial_ids: Collection[str]) -> dict[str, Standing]:
    """Returns how those of the trials stand that the ledger knows."""
    query = (
        f"SELECT t.trial_id, o.status, o.step, o.failure, i.because {_LAST}"
        "WHERE t.trial_id IN (SELECT value FROM json_each(?))"
    )
    found: dict[str, Standing] = {}
    for trial_id, status, step, failure, because in ledger.rows(query, _listed(trial_ids)):
        facts: dict[str, Any] = json.loads(failure) if failure else {}
        found[trial_id] = Standing(
            status=status,
            step=step or 0,
            reason=facts.get("reason", ""),
            kind=facts.get("kind"),
            invalidated=because,
        )
    return found


def completed_on(
    ledger: Ledger, trajectory_ids: Collection[str]
) -> dict[str, list[tuple[int, str]]]:
    """Returns the completed trials of each trajectory that has some: their steps and ids."""
    query = (
        f"SELECT t.trajectory_id, o.step, t.trial_id {_LAST}"
        "WHERE t.trajectory_id IN (SELECT value FROM json_each(?))"
        " AND o.status = 'completed' AND i.because IS NULL"
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for trajectory_id, step, trial_id in ledger.rows(query, _listed(trajectory_ids)):
        found.setdefault(trajectory_id, []).append((step, trial_id))
    return found


def former_members(
    ledger: Ledger, experiment: str, asked_for: Collection[str]
) -> Iterator[FormerMember]:
    """Yields the experiment's trials whose ids are not among those asked for, in plan order."""
    query = (
        "SELECT t.trial_id, t.content, t.revision, m.condition FROM members m"
        " JOIN trials t ON t.trial_id = m.trial_id WHERE m.experiment = ?"
        " AND m.trial_id NOT IN (SELECT value FROM json_each(?)) ORDER BY m.position, m.trial_id"
    )
    for trial_id, content, revision, condition in ledger.rows(
        query, experiment, _listed(asked_for)
    ):
        yield FormerMember(
            trial_id=trial_id,
            trial=Trial.from_json(content),
            condition=json.loads(condition),
            revision=revision,
        )


def other_experiments(
    ledger: Ledger, experiment: str, trial_ids: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Returns the other experiments that ask for a trial now, by trial, where there are some."""
    query = (
        "SELECT trial_id, experiment FROM members WHERE asked_for AND experiment <> ?"
        " AND trial_id IN (SELECT value FROM json_each(?)) ORDER BY trial_id, experiment"
    )
    found: dict[str, tuple[str, ...]] = {}
    for trial_id, other in ledger.rows(query, experiment, _listed(trial_ids)):
        found[trial_id] = (*found.get(trial_id, ()), other)
    return found


def first_results(ledger: Ledger, trial_ids: Collection[str]) -> dict[str, float]:
    """Returns when the first result of each trial that has one was recorded, seconds since 1970.

    What was invalidated later was known all the same.
    """
    query = (
        "SELECT trial_id, min(recorded_at) FROM outcomes WHERE status IN ('completed', 'diverged')"
        " AND trial_id IN (SELECT value FROM json_each(?)) GROUP BY trial_id"
    )
    return dict(ledger.rows(query, _listed(trial_ids)))


def last_starts(ledger: Ledger, experiment: str) -> dict[str, float]:
    """Returns when the last attempt at each trial of an experiment began, seconds since 1970."""
    query = (
        "SELECT s.trial_id, max(s.started_at) FROM members m JOIN starts s"
        " ON s.trial_id = m.trial_id WHERE m.experiment = ? GROUP BY s.trial_id"
    )
    return dict(ledger.rows(query, experiment))


def _listed(ids: Collection[str]) -> str:
    return json.dumps(list(ids))


@dataclass(frozen=True, kw_only=True)
class CompletedTrial:
    """A completed trial with its numbers, and without its history."""

    trial_id: str
    trial: Trial
    step: int
    measurements: dict[str, float]
    provenance: dict[str, Any]

    @property
    def outcome(self) -> Outcome:
        """The same as an outcome."""
        return Outcome(
            trial_id=self.trial_id,
            status="completed",
            step=self.step,
            measurements=self.measurements,
        )


def newest_completed(ledger: Ledger, limit: int) -> Iterator[CompletedTrial]:
    """Yields the trials that completed last, of all experiments, the newest first."""
    query = (
        "SELECT t.trial_id, t.content, o.step, o.measurements, o.provenance FROM outcomes o"
        " JOIN trials t ON t.trial_id = o.trial_id WHERE o.status = 'completed'"
        " AND NOT EXISTS (SELECT 1 FROM invalidations i WHERE i.outcome_id = o.outcome_id)"
        " ORDER BY o.outcome_id DESC LIMIT ?"
    )
    for trial_id, content, step, measurements, provenance in ledger.rows(query, str(limit)):
        yield CompletedTrial(
            trial_id=trial_id,
            trial=Trial.from_json(content),
            step=step,
            measurements=json.loads(measurements),
            provenance=json.loads(provenance),
        )
