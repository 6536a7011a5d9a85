"""From the ledger to tidy tables in which every planned trial is accounted for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float

from qdexp.config.metrics import find
from qdexp.experiment.trial import TEACHER, Condition
from qdexp.results.ledger import Ledger, SpecRecord, TrialRecord
from qdexp.results.outcome import Array
from qdexp_analysis.standing import counted, other_results, reason_of, status_of

Arrays = Mapping[str, Float[np.ndarray, "..."]]

ARRAYS = (
    "eval.clip_errors",
    "eval.quantized_clip_errors",
    "eval.unquantized_clip_errors",
    "eval.pixel_errors",
    "eval.level_log_snr",
    "eval.level_timesteps",
    "eval.clip_sources",
)
"""The arrays of an outcome that the analysis reads."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A configuration field that an experiment varies."""

    field: str
    levels: tuple[Any, ...]
    baseline: Any

    @property
    def name(self) -> str:
        """The field without its section."""
        return self.field.rpartition(".")[2]

    @property
    def is_ordered(self) -> bool:
        """Tells whether the levels are two or more numbers."""
        numbers = [
            isinstance(level, (int, float)) and not isinstance(level, bool) for level in self.levels
        ]
        return len(numbers) > 1 and all(numbers)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What the ledger knows of one experiment.

    Args:
        name: Its name.
        spec: Its present spec.
        factors: What it varies, in the spec's order.
        conditions: What it compares, in the order of the factors' levels.
        seeds: Its replicates.
        records: The trials that it compares.
        teachers: The trials that others of it learn from, and that are compared with nothing.
        trials: One row for each: trial_id, condition (position in `conditions`), label, seed,
            status, step, reason, kind, and a column for every factor.
        measurements: One row for each number: condition, label, seed, trial_id, metric, value,
            unit, direction.
        histories: One row for each point of a history: condition, seed, trial_id, metric, step,
            value.
        arrays: The arrays in `ARRAYS` that were recorded, by trial id and name.
        others: Where results were imported from that are not those of their trials, by trial id.
    """

    name: str
    spec: SpecRecord
    factors: tuple[Factor, ...]
    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    records: tuple[TrialRecord, ...]
    teachers: tuple[TrialRecord, ...]
    trials: pd.DataFrame
    measurements: pd.DataFrame
    histories: pd.DataFrame
    arrays: Mapping[str, Arrays]
    others: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_ledger(cls, ledger: Ledger, name: str) -> Self:
        """Reads an experiment.

        Raises:
            NotFoundError: The ledger has no experiment of this name.
            LedgerError: The ledger cannot be read.
        """
        spec = ledger.specs(name)[-1]
        asked = [counted(record) for record in ledger.members(name) if record.is_asked_for]
        records = tuple(record for record in asked if record.condition)
        factors = tuple(
            Factor(field=f["field"], levels=tuple(f["levels"]), baseline=f["baseline"])
            for f in spec.definition["factors"]
        )
        conditions = _conditions(records, factors)
        done = [record for record in records if record.outcome is not None]
        rows = [_row(record, conditions) for record in records]
        return cls(
            name=name,
            spec=spec,
            factors=factors,
            conditions=conditions,
            seeds=tuple(dict.fromkeys(record.trial.seed for record in records)),
            records=records,
            teachers=tuple(record for record in asked if not record.condition),
            trials=pd.DataFrame(rows, columns=[*_TRIAL_COLUMNS, *(f.field for f in factors)]),
            measurements=_measurements(done, conditions),
            histories=_histories(ledger, done, conditions),
            arrays={record.trial_id: _arrays(ledger, record.trial_id) for record in done},
            others={record.trial_id: other_results(ledger, record) for record in asked},
        )

    @property
    def all_records(self) -> tuple[TrialRecord, ...]:
        """The trials that it needs, teachers first."""
        return self.teachers + self.records

    @property
    def question(self) -> str:
        """What the experiment asks."""
        return self.spec.definition["question"]

    @property
    def primary(self) -> str:
        """The metric that the verdicts are about."""
        return self.spec.definition["metrics"]["primary"]

    @property
    def secondary(self) -> tuple[str, ...]:
        """Metrics shown beside the primary one."""
        return tuple(self.spec.definition["metrics"].get("secondary") or ())

    @property
    def baseline(self) -> int | None:
        """Position of the condition that has every factor at its baseline, if it is planned."""
        wanted = _key({factor.field: factor.baseline for factor in self.factors})
        keys = [_key(condition) for condition in self.conditions]
        return keys.index(wanted) if wanted in keys else None

    @property
    def as_of(self) -> float:
        """Time of the ledger's last word on this experiment, seconds since 1970."""
        finished = [r.finished_at for r in self.records if r.finished_at is not None]
        return max([self.spec.recorded_at, *finished])

    def place(self, record: TrialRecord) -> tuple[int, int]:
        """Returns a trial's positions among the conditions and the seeds."""
        return _position(record, self.conditions), self.seeds.index(record.trial.seed)

    def records_at(self, condition: int) -> tuple[TrialRecord, ...]:
        """Returns the trials of a condition, by seed."""
        key = _key(self.conditions[condition])
        records = (record for record in self.records if _key(record.condition) == key)
        return tuple(sorted(records, key=lambda record: record.trial.seed))


def load(name: str, runs: Path) -> Experiment:
    """Reads an experiment from the ledger of a runs folder.

    Raises:
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
    """
    with Ledger(runs) as ledger:
        return Experiment.from_ledger(ledger, name)


def condition_text(condition: Condition, *, with_names: bool = True) -> str:
    """Returns a condition for tables (``min_step 20, max_step 980``) or axes (``20 / 980``)."""
    if not with_names:
        return " / ".join(str(level) for level in condition.values()) or TEACHER
    named = (f"{field.rpartition('.')[2]} {level}" for field, level in condition.items())
    return ", ".join(named) or TEACHER


_TRIAL_COLUMNS = (
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
_HISTORY_COLUMNS = ("condition", "seed", "trial_id", "metric", "step", "value")


def _key(condition: Condition) -> str:
    return json.dumps(dict(condition), sort_keys=True)


def _conditions(records: Sequence[TrialRecord], factors: Sequence[Factor]) -> tuple[Condition, ...]:
    """Returns the distinct conditions, ordered by their levels' positions in the spec."""
    distinct = {_key(record.condition): record.condition for record in records}
    return tuple(
        sorted(
            distinct.values(),
            key=lambda condition: [f.levels.index(condition[f.field]) for f in factors],
        )
    )


def _position(record: TrialRecord, conditions: Sequence[Condition]) -> int:
    return list(conditions).index(record.condition)


def _row(record: TrialRecord, conditions: Sequence[Condition]) -> dict[str, Any]:
    outcome = record.outcome
    failure = outcome.failure if outcome else None
    return {
        "trial_id": record.trial_id,
        "condition": _position(record, conditions),
        "label": condition_text(record.condition),
        "seed": record.trial.seed,
        "status": status_of(record),
        "step": outcome.step if outcome else 0,
        "reason": reason_of(record),
        "kind": (failure.kind or "") if failure else "",
        **record.condition,
    }


def _measurements(records: Sequence[TrialRecord], conditions: Sequence[Condition]) -> pd.DataFrame:
    rows = [
        {
            "condition": _position(record, conditions),
            "label": condition_text(record.condition),
            "seed": record.trial.seed,
            "trial_id": record.trial_id,
            "metric": name,
            "value": value,
            **_declaration(name),
        }
        for record in records
        if record.outcome is not None
        for name, value in record.outcome.measurements.items()
    ]
    return pd.DataFrame(rows, columns=list(_MEASUREMENT_COLUMNS))


def _declaration(name: str) -> dict[str, str]:
    declared = find(name)
    if declared is None:
        return {"unit": "", "direction": "neither"}
    return {"unit": declared.unit, "direction": declared.direction}


def _histories(
    ledger: Ledger, records: Sequence[TrialRecord], conditions: Sequence[Condition]
) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "condition": _position(record, conditions),
                "seed": record.trial.seed,
                "trial_id": record.trial_id,
                "metric": metric,
                "step": series.steps,
                "value": series.values,
            }
        )
        for record in records
        for metric, series in ledger.history(record.trial_id).items()
        if series.steps
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_HISTORY_COLUMNS)


def _arrays(ledger: Ledger, trial_id: str) -> Arrays:
    recorded = ledger.arrays(trial_id)
    return {name: _numpy(recorded[name]) for name in ARRAYS if name in recorded}


def _numpy(recorded: Array) -> Float[np.ndarray, "..."]:
    return np.array(recorded.values).reshape(recorded.shape)
