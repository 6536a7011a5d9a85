"""Trials and what they measured, as rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from qdexp.results.ledger import TrialRecord
from qdexp_analysis.declared import Declared
from qdexp_analysis.labels import condition_text
from qdexp_analysis.standing import reason_of, status_of

TRIAL_COLUMNS = (
    "trial_id",
    "condition",
    "label",
    "seed",
    "status",
    "step",
    "reason",
    "kind",
)
_MEASUREMENT_COLUMNS = (
    "condition",
    "label",
    "seed",
    "trial_id",
    "metric",
    "value",
    "unit",
    "direction",
)


def trial_row(record: TrialRecord, position: int) -> dict[str, Any]:
    """Returns a trial's row, whatever became of it."""
    outcome = record.outcome
    failure = outcome.failure if outcome else None
    return {
        "trial_id": record.trial_id,
        "condition": position,
        "label": condition_text(record.condition),
        "seed": record.trial.seed,
        "status": status_of(record),
        "step": outcome.step if outcome else 0,
        "reason": reason_of(record),
        "kind": (failure.kind or "") if failure else "",
        **record.condition,
    }


def measurement_frame(
    records: Sequence[TrialRecord], places: Mapping[str, int], declared: Declared
) -> pd.DataFrame:
    """Returns a row for each number that trials measured."""
    names = {name for r in records if r.outcome is not None for name in r.outcome.measurements}
    metrics = {name: declared.metric(name) for name in names}
    rows = [
        (
            places[record.trial_id],
            condition_text(record.condition),
            record.trial.seed,
            record.trial_id,
            name,
            value,
            metrics[name].unit,
            metrics[name].direction,
        )
        for record in records
        if record.outcome is not None
        for name, value in record.outcome.measurements.items()
    ]
    return pd.DataFrame(rows, columns=list(_MEASUREMENT_COLUMNS))
