"""Shows a search as a study in a database, which tools for Optuna's studies open."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from qdexp.backends.optuna_suggester.distributions import distribution_of, shown
from qdexp.backends.optuna_suggester.quiet import quiet
from qdexp.backends.optuna_suggester.study import directions_of, mean_rungs, state_of
from qdexp.execution.ports import Checked
from qdexp.experiment.search_spec import Objective
from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord

_DATABASE_ERRORS = (SQLAlchemyError, OptunaError, ImportError, OSError)
"""What goes wrong with a database: it is away, locked, full, of another version, has no driver."""


class OptunaStudyMirror:
    """A study of the search's name; implements the port `StudyMirror`.

    Optuna's numbers of trials are ours. All that ends is written in one transaction with its
    state, or again by the next call.

    Args:
        url: Where the database is, as SQLAlchemy writes it: ``sqlite:////folder/optuna.sqlite``.
        definition: What the ledger keeps of the search's spec.
    """

    def __init__(self, url: str, definition: Mapping[str, Any]) -> None:
        self._url = url
        self._name: str = definition["name"]
        search = definition["search"]
        self._objectives = [Objective(**each) for each in search["objectives"]]
        baseline: Mapping[str, Any] = definition["baseline"]
        self._parameters = {
            each.field: each for each in map(_parameter, search["space"]["parameters"])
        }
        self._distributions = {
            field: _including(distribution_of(each), shown(baseline[field]))
            if field in baseline and each.has_place_for(baseline[field])
            else distribution_of(each)
            for field, each in self._parameters.items()
        }

    def show(self, history: Sequence[SuggestionRecord]) -> Checked:
        """Makes the study show what the ledger knows of a search: all of it, each thing once."""
        try:
            with quiet():
                return self._show(history)
        except _DATABASE_ERRORS as error:
            cause = error.__cause__ or error
            problem = (str(cause).splitlines() or [type(cause).__name__])[0]
            sentence = f"the study {self._name} could not be written to {self._url}: {problem}; "
            return Checked(unmended=(f"{sentence}mend the database and call qdexp doctor",))

    def _show(self, history: Sequence[SuggestionRecord]) -> Checked:
        storage = RDBStorage(self._url)
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=self._name,
                directions=directions_of(self._objectives),
                load_if_exists=True,
            )
            if len(study.directions) != len(self._objectives):
                return self._unlike(f"it has {len(study.directions)} objectives")
            study.set_metric_names([each.metric for each in self._objectives])
            study_id = storage.get_study_id_from_name(self._name)
            return self._trials(storage, study_id, history)
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def _trials(
        self, storage: BaseStorage, study_id: int, history: Sequence[SuggestionRecord]
    ) -> Checked:
        shown_before = storage.get_all_trials(study_id, deepcopy=False)
        if len(shown_before) > len(history):
            extra = len(shown_before) - len(history)
            return self._unlike(f"it has {extra} trials that the ledger does not know")
        checked = Checked()
        for record, trial in zip(history, shown_before, strict=False):
            checked += self._mended(storage, study_id, record, trial)
        for record in history[len(shown_before) :]:
            storage.create_new_trial(study_id, template_trial=self._trial(record))
        return checked

    def _mended(
        self, storage: BaseStorage, study_id: int, record: SuggestionRecord, trial: FrozenTrial
    ) -> Checked:
        """Adds to a trial what it does not show yet."""
        wanted = self._trial(record)
        number, state = record.suggestion.number, state_of(record.told)
        if trial.params != wanted.params:
            return self._unlike(f"its trial {number} has other parameters")
        if trial.state.is_finished():
            is_equal = trial.state == state and trial.values == wanted.values
            return Checked() if is_equal else self._unlike(f"its trial {number} ended otherwise")
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        for step, value in wanted.intermediate_values.items():
            if trial.intermediate_values.get(step) != value:
                storage.set_trial_intermediate_value(trial_id, step, value)
        for key, value in wanted.user_attrs.items():
            if trial.user_attrs.get(key) != value:
                storage.set_trial_user_attr(trial_id, key, value)
        if state != TrialState.RUNNING:
            storage.set_trial_state_values(trial_id, state, wanted.values)
        return Checked()

    def _unlike(self, found: str) -> Checked:
        sentence = f"the study {self._name} in {self._url} is not the ledger's: {found}; delete it "
        return Checked(unmended=(f"{sentence}and call qdexp doctor, which writes it anew",))

    def _trial(self, record: SuggestionRecord) -> FrozenTrial:
        suggestion, told = record.suggestion, record.told
        values = {field: shown(value) for field, value in suggestion.values.items()}
        placed = [f for f, value in values.items() if self._parameters[f].has_place_for(value)]
        reason = {"reason": told.reason} if told and told.reason else {}
        trial = create_trial(
            state=state_of(told),
            values=list(told.values) if told and told.ending == "complete" else None,
            params={field: values[field] for field in placed},
            distributions={field: self._distributions[field] for field in placed},
            user_attrs={
                "qdexp.origin": suggestion.origin,
                "qdexp.trial_ids": list(record.trial_ids),
                **{f"qdexp.{key}": value for key, value in reason.items()},
                **{f"qdexp.{f}": value for f, value in values.items() if f not in placed},
            },
            intermediate_values=mean_rungs(record.rungs),
        )
        trial.datetime_start = datetime.fromtimestamp(record.suggested_at)  # as Optuna: local
        return trial


def _parameter(definition: Mapping[str, Any]) -> Parameter:
    choices: Sequence[Any] = definition.get("choices", ())
    given = {key: value for key, value in definition.items() if key != "choices"}
    return Parameter(choices=tuple(choices), **given)


def _including(distribution: BaseDistribution, value: Any) -> BaseDistribution:  # noqa: ANN401
    """Returns a distribution that has this value, too: the baseline may lie outside the space."""
    if isinstance(distribution, CategoricalDistribution):
        is_there = value in distribution.choices
        return distribution if is_there else CategoricalDistribution([*distribution.choices, value])
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = min(distribution.low, value), max(distribution.high, value)
    if isinstance(distribution, IntDistribution):
        return IntDistribution(int(low), int(high), log=distribution.log and low > 0)
    return FloatDistribution(low, high, log=distribution.log and low > 0)
