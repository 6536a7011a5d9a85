"""What a run asks while it goes on: which conditions need more seeds, as the report judges them."""

from collections.abc import Sequence
from dataclasses import replace
from time import time
from typing import Any

from qdexp.errors import NotFoundError
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger, SpecRecord, TrialRecord
from qdexp_analysis.comparability import refusal
from qdexp_analysis.findings import judged_family
from qdexp_analysis.history import course_of
from qdexp_analysis.table import Experiment


def seeds_wanted(
    ledger: Ledger,
    spec: tuple[str, str, dict[str, Any]],
    trials: Sequence[tuple[Trial, Condition]],
    conditions: Sequence[Condition],
) -> tuple[int, ...]:
    """Returns how many seeds each condition needs by what the ledger knows now.

    Args:
        ledger: The outcomes.
        spec: The spec's file, text and definition, perhaps not recorded yet.
        trials: All trials that it may ask for.
        conditions: What it compares, in the order of the answer.
    """
    records = [_record(ledger, trial, condition) for trial, condition in trials]
    experiment = Experiment.of(ledger, _specs(ledger, spec), records)
    course = course_of(experiment)
    is_refused = refusal(experiment, experiment.primary) is not None
    judged = None if is_refused else judged_family(experiment, course)
    if judged is None:
        return (course.looks.schedule[0],) * len(conditions)
    positions = [list(experiment.conditions).index(condition) for condition in conditions]
    return tuple(judged.wanted[position] for position in positions)


def _specs(ledger: Ledger, spec: tuple[str, str, dict[str, Any]]) -> list[SpecRecord]:
    """Returns the texts of the spec that there will be once it is recorded."""
    file, text, definition = spec
    name = definition["name"]
    try:
        former = ledger.specs(name)
    except NotFoundError:
        former = []
    now = SpecRecord(
        experiment=name, recorded_at=time(), file=file, text=text, definition=definition
    )
    is_last = bool(former) and former[-1].identity == now.identity
    return former if is_last else [*former, now]


def _record(ledger: Ledger, trial: Trial, condition: Condition) -> TrialRecord:
    """Returns what is known of a trial, perhaps nothing."""
    known = ledger.find(trial.trial_id)
    if known is not None:
        return replace(known, condition=condition, is_asked_for=True)
    return TrialRecord(
        trial_id=trial.trial_id,
        trial=trial,
        condition=condition,
        is_asked_for=True,
        num_starts=0,
        started_at=None,
        finished_at=None,
        outcome=None,
        revision=None,
        invalidated=None,
    )
