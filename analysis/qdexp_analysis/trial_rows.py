"""Trials and what they measured, as rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from qdexp.experiment.controls import control_name
from qdexp.results.ledger import TrialRecord
from qdexp_analysis.columns import column_of
from qdexp_analysis.declared import Declared
from qdexp_analysis.labels import condition_text
from qdexp_analysis.standing import reason_of, status_of

_TRIAL_COLUMNS = (
    "trial_id",
    "role",
    "condition",
    "label",
    "seed",
    "status",
    "step",
    "reason",
    "kind",
)
_MEASUREMENT_COLUMNS = (
    "role",
    "condition",
    "label",
    "seed",
    "trial_id",
    "metric",
    "value",
    "unit",
    "direction",
)


_TAKEN = frozenset((*_TRIAL_COLUMNS, *_MEASUREMENT_COLUMNS, "experiment"))

_POSITIONS = "Int64"
"""The type of positions among conditions: what is compared with nothing has none."""

COMPARED, CONTROL, TEACHING = "condition", "control", "teacher"
"""Roles: only trials of the first are compared with each other."""


def role_of(record: TrialRecord) -> str:
    """Returns what a trial is for: one of the roles."""
    if not record.condition:
        return TEACHING
    return CONTROL if control_name(record.condition) else COMPARED


def trial_frame(
    records: Sequence[TrialRecord], places: Mapping[str, int], fields: Sequence[str]
) -> pd.DataFrame:
    """Returns a row for each trial, whatever became of it.

    Args:
        records: The trials, those that are compared and those beside them.
        places: Positions among the conditions of those that are compared, by trial id.
        fields: The factors; one that does not act, and every one beside, is empty.
    """
    columns = [setting_column(field) for field in fields]
    idle = dict.fromkeys(columns, "")
    rows = [idle | _trial_row(record, places.get(record.trial_id)) for record in records]
    frame = pd.DataFrame(rows, columns=[*_TRIAL_COLUMNS, *columns])
    return frame.astype({"condition": _POSITIONS})


def setting_column(field: str) -> str:
    """Returns the name of a field's column in frames of trials and of what they measured."""
    return column_of(field, _TAKEN)


def _trial_row(record: TrialRecord, position: int | None) -> dict[str, Any]:
    outcome, role = record.outcome, role_of(record)
    failure = outcome.failure if outcome else None
    settings = record.condition if role == COMPARED else {}
    return {
        "trial_id": record.trial_id,
        "role": role,
        "condition": position,
        "label": condition_text(record.condition),
        "seed": record.trial.seed,
        "status": status_of(record),
        "step": outcome.step if outcome else 0,
        "reason": reason_of(record),
        "kind": (failure.kind or "") if failure else "",
        **{setting_column(field): value for field, value in settings.items()},
    }


def _beginning(record: TrialRecord, places: Mapping[str, int]) -> tuple[Any, ...]:
    """Returns what all of a trial's numbers have in common."""
    position, label = places.get(record.trial_id), condition_text(record.condition)
    return role_of(record), position, label, record.trial.seed, record.trial_id


def measurement_frame(
    records: Sequence[TrialRecord], places: Mapping[str, int], declared: Declared
) -> pd.DataFrame:
    """Returns a row for each number that trials measured; arguments as of `trial_frame`."""
    names = {name for r in records if r.outcome is not None for name in r.outcome.measurements}
    metrics = {name: declared.metric(name) for name in names}
    rows = [
        (
            *beginning,
            name,
            value,
            metrics[name].unit,
            metrics[name].direction,
        )
        for record in records
        if record.outcome is not None
        for beginning in [_beginning(record, places)]
        for name, value in record.outcome.measurements.items()
    ]
    frame = pd.DataFrame(rows, columns=list(_MEASUREMENT_COLUMNS))
    return frame.astype({"condition": _POSITIONS})
