"""What the ledger's readers get: specs and trials as they were recorded, and the query for them."""

import json
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.identity import digest
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.comparison import Difference
from qdexp.results.outcome import Failure, Outcome


def spec_identity(text: str, definition: dict[str, Any]) -> str:
    """Returns 16 hexadecimal digits, equal for equal texts of specs that mean the same."""
    return digest([text, definition])[:16]


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

    @property
    def timings(self) -> frozenset[str]:
        """Metrics of a user's own training that are declared as timings."""
        own: dict[str, Any] = self.definition.get("own") or {}
        metrics: list[dict[str, Any]] = own.get("metrics") or []
        return frozenset(each["name"] for each in metrics if each.get("is_timing"))

    @property
    def identity(self) -> str:
        """16 hexadecimal digits, equal for equal texts that mean the same."""
        return spec_identity(self.text, self.definition)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial with the last that is known of it.

    Args:
        trial_id: The trial's id, as it was when it was recorded.
        trial: What is run.
        condition: Its levels in the experiment that was asked about; empty otherwise.
        is_asked_for: Whether the experiment's present spec asks for it.
        num_starts: Attempts begun.
        started_at: Start of the first attempt that was recorded, seconds since 1970, or None.
            Clocks are set back: it need not be before `finished_at`.
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

    @property
    def counted(self) -> Outcome | None:
        """The last outcome if it counts, or None."""
        return None if self.invalidated is not None else self.outcome

    @property
    def is_settled(self) -> bool:
        """Tells whether the trial has a result that counts: it is not run again."""
        return self.counted is not None and self.counted.is_final


Row = tuple[Any, ...]

TRIALS = """
SELECT t.trial_id, t.content, o.status, o.step, o.measurements, o.warnings, o.failure, o.provenance,
       o.recorded_at,
       (SELECT count(*) FROM starts s WHERE s.trial_id = t.trial_id),
       (SELECT started_at FROM starts s WHERE s.trial_id = t.trial_id ORDER BY rowid LIMIT 1),
       t.revision, i.because
FROM trials t
LEFT JOIN outcomes o ON o.outcome_id =
    (SELECT max(outcome_id) FROM outcomes x WHERE x.trial_id = t.trial_id)
LEFT JOIN invalidations i ON i.outcome_id = o.outcome_id
"""


def record_from_row(condition: Condition, row: Row, *, is_asked_for: bool = False) -> TrialRecord:
    """Builds a record from a row of `TRIALS`.

    Raises:
        ValueError: The row holds no trial or outcome.
    """
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


@dataclass(frozen=True, kw_only=True)
class OtherOutcome:
    """An outcome that was imported for a trial that had another one, which was kept.

    Args:
        origin: Where it was imported from.
        noticed_at: When, in seconds since 1970.
        outcome: The outcome, whole.
        numbers: The measurements that the trial's last outcome has differently, its own first.
    """

    origin: str
    noticed_at: float
    outcome: Outcome
    numbers: tuple[Difference, ...]
