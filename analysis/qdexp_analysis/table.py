"""From the ledger to tidy tables in which every planned trial is accounted for."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import pandas as pd

from qdexp.config.metric import Metric
from qdexp.experiment.trial import Condition
from qdexp.results.ledger import Ledger, SpecRecord, TrialRecord
from qdexp.results.overview import first_results
from qdexp_analysis.arrays import Arrays, read_arrays
from qdexp_analysis.declared import Declared, declared_in
from qdexp_analysis.design import Design, in_order, read_design
from qdexp_analysis.factor import Factor, read_factors
from qdexp_analysis.histories import history_names, read_histories
from qdexp_analysis.labels import Labels
from qdexp_analysis.standing import counted, other_results
from qdexp_analysis.trial_rows import (
    COMPARED,
    CONTROL,
    TEACHING,
    measurement_frame,
    role_of,
    trial_frame,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """What the ledger knows of one experiment; equal to nothing but itself.

    Args:
        name: Its name.
        spec: Its present spec.
        factors: What it varies, in the spec's order.
        design: How its conditions were chosen.
        conditions: What it compares, in the order of the factors' levels; the spec's own last.
        seeds: Its replicates.
        records: The trials that it compares.
        teachers: The trials that others of it learn from, and that are compared with nothing.
        trials: One row for each that is planned: trial_id, role (condition, control or teacher),
            condition (position in `conditions`, missing for the other roles), label, seed,
            status, step, reason, kind, and a column for every factor, empty where it does not
            act.
        measurements: One row for each number: role, condition, label, seed, trial_id, metric,
            value, unit, direction.
        arrays: The arrays that the analysis reads and that were recorded, by trial id and name.
        declared: What its metrics are.
        others: Where results were imported from that are not those of their trials, by trial id.
        file: The ledger's file, which histories are read from when they are asked for.
        controls: The trials beside those that it compares: the baseline with one change.
        specs: Every text that its spec has had, oldest first; `spec` is the last.
        known_since: When each trial's first result was recorded, seconds since 1970, by trial id.
        names: What conditions are called that are called otherwise than by their levels, by
            position.
    """

    name: str
    spec: SpecRecord
    factors: tuple[Factor, ...]
    design: Design
    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    records: tuple[TrialRecord, ...]
    teachers: tuple[TrialRecord, ...]
    trials: pd.DataFrame
    measurements: pd.DataFrame
    arrays: Mapping[str, Arrays]
    declared: Declared
    others: Mapping[str, tuple[str, ...]]
    file: Path
    controls: tuple[TrialRecord, ...] = ()
    specs: tuple[SpecRecord, ...] = ()
    known_since: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def from_ledger(cls, ledger: Ledger, name: str) -> Self:
        """Reads an experiment.

        Raises:
            NotFoundError: The ledger has no experiment of this name.
            LedgerError: The ledger cannot be read.
        """
        asked = [record for record in ledger.members(name) if record.is_asked_for]
        return cls.of(ledger, ledger.specs(name), asked)

    @classmethod
    def of(cls, ledger: Ledger, specs: Sequence[SpecRecord], asked: Sequence[TrialRecord]) -> Self:
        """Reads the experiment that the last of these specs declares, and these are the trials of.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        spec = specs[-1]
        asked = [counted(record) for record in asked]
        teachers, records, controls = (
            tuple(record for record in asked if role_of(record) == role)
            for role in (TEACHING, COMPARED, CONTROL)
        )
        factors = read_factors(spec.definition, [record.condition for record in records])
        distinct = {_key(record.condition): record.condition for record in records}
        conditions = in_order(list(distinct.values()), factors, spec.definition)
        positions = {_key(condition): k for k, condition in enumerate(conditions)}
        places = {r.trial_id: positions[_key(r.condition)] for r in records}
        planned = (*records, *controls, *teachers)
        declared = declared_in(spec)
        ids = [r.trial_id for r in (*records, *controls) if r.outcome is not None]
        return cls(
            name=spec.experiment,
            spec=spec,
            factors=factors,
            design=read_design(spec.definition, factors, conditions),
            conditions=conditions,
            seeds=tuple(dict.fromkeys(record.trial.seed for record in records)),
            records=records,
            teachers=teachers,
            trials=trial_frame(planned, places, [factor.field for factor in factors]),
            measurements=measurement_frame(planned, places, declared),
            arrays={key: {} for key in ids} if declared.is_own else read_arrays(ledger, ids),
            declared=declared,
            others=other_results(ledger, asked),
            file=ledger.file,
            controls=controls,
            specs=tuple(specs),
            known_since=first_results(ledger, [record.trial_id for record in records]),
        )

    @cached_property
    def histories(self) -> pd.DataFrame:
        """One row for each point of every history: condition, seed, trial_id, metric, step, value.

        Of many long trials that is much: `history` reads one metric's.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with Ledger(self.file) as ledger:
            return read_histories(ledger, self._measured)

    @cached_property
    def history_names(self) -> frozenset[str]:
        """The metrics that have a history in one of its trials.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with Ledger(self.file) as ledger:
            return frozenset(history_names(ledger, self._measured))

    def history(
        self,
        metric: str,
        most_points: int | None = None,
        conditions: Collection[int] | None = None,
    ) -> pd.DataFrame:
        """Returns the rows of `histories` of one metric, perhaps thinned.

        Args:
            metric: Its name.
            most_points: About how many points of each trial are wanted; all unless given.
            conditions: Positions of those that are wanted; all unless given.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        wanted = {
            trial_id: place
            for trial_id, place in self._measured.items()
            if conditions is None or place[0] in conditions
        }
        with Ledger(self.file) as ledger:
            return read_histories(ledger, wanted, [metric], most_points)

    @cached_property
    def _measured(self) -> dict[str, tuple[int, int]]:
        """The condition's position and the seed of every trial that has an outcome, by id."""
        return {
            record.trial_id: (self._places[record.trial_id][0], record.trial.seed)
            for record in self.records
            if record.outcome is not None
        }

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        positions = {_key(condition): k for k, condition in enumerate(self.conditions)}
        columns = {seed: column for column, seed in enumerate(self.seeds)}
        return {
            record.trial_id: (positions[_key(record.condition)], columns[record.trial.seed])
            for record in self.records
        }

    @cached_property
    def _by_condition(self) -> tuple[tuple[TrialRecord, ...], ...]:
        found: list[list[TrialRecord]] = [[] for _ in self.conditions]
        for record in sorted(self.records, key=lambda record: record.trial.seed):
            found[self._places[record.trial_id][0]].append(record)
        return tuple(map(tuple, found))

    @cached_property
    def measured(self) -> frozenset[str]:
        """The metrics that a trial which is compared measured."""
        rows = self.measurements
        return frozenset(rows.loc[rows["role"] == COMPARED, "metric"])

    @property
    def is_own(self) -> bool:
        """Tells whether its trials are a user's own training, not qdexp's."""
        return self.declared.is_own

    def metric(self, name: str) -> Metric:
        """Returns a metric's declaration; one that nobody declared has no better or worse."""
        return self.declared.metric(name)

    @property
    def all_records(self) -> tuple[TrialRecord, ...]:
        """The trials that it needs, teachers first, controls last."""
        return self.teachers + self.records + self.controls

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
        """Position of the condition that the others are compared with, if it is planned."""
        return self.design.baseline

    @property
    def labels(self) -> Labels:
        """How its conditions are named."""
        return Labels(
            factors=self.factors,
            conditions=self.conditions,
            design=self.design,
            names=self.names,
        )

    @property
    def as_of(self) -> float:
        """Time of the ledger's last word on this experiment, seconds since 1970."""
        finished = [r.finished_at for r in self.records if r.finished_at is not None]
        return max([self.spec.recorded_at, *finished])

    def place(self, record: TrialRecord) -> tuple[int, int]:
        """Returns a trial's positions among the conditions and the seeds."""
        return self._places[record.trial_id]

    def records_at(self, condition: int) -> tuple[TrialRecord, ...]:
        """Returns the trials of a condition, by seed."""
        return self._by_condition[condition]


def load(name: str, runs: Path) -> Experiment:
    """Reads an experiment from the ledger of a runs folder.

    Raises:
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
    """
    with Ledger(runs) as ledger, ledger.snapshot():
        return Experiment.from_ledger(ledger, name)


def _key(condition: Condition) -> str:
    return json.dumps(dict(condition), sort_keys=True)
