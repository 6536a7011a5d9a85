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
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from qdexp.backends.optuna_suggester.distributions import distribution_of, shown
from qdexp.backends.optuna_suggester.location import OPTION, opened
from qdexp.backends.optuna_suggester.quiet import quiet
from qdexp.backends.optuna_suggester.study import directions_of, mean_rungs, state_of
from qdexp.execution.ports import Checked
from qdexp.experiment.search_spec import Objective
from qdexp.experiment.space import Parameter
from qdexp.results.passwords import without_password
from qdexp.results.suggestions import SuggestionRecord

_DATABASE_ERRORS = (SQLAlchemyError, OptunaError, ImportError, OSError)
"""What goes wrong with a database: it is away, locked, full, of another version, has no driver."""

_TRIALS = "qdexp.trial_ids"


class OptunaStudyMirror:
    """A study of the search's name; implements the port `StudyMirror`.

    Optuna's numbers of trials are ours. All that ends is written in one transaction with its
    state, or again by the next call. A study that is not the ledger's is left as it is.

    Args:
        url: Where the database is, as SQLAlchemy writes it: ``sqlite:////folder/optuna.sqlite``.
        definition: What the ledger keeps of the search's spec.
    """

    def __init__(self, url: str, definition: Mapping[str, Any]) -> None:
        self._url = url
        self._place = without_password(url)
        self._name: str = definition["name"]
        search = definition["search"]
        self._objectives = [Objective(**each) for each in search["objectives"]]
        pruning: Mapping[str, Any] = search.get("pruning") or {}
        self._pruned_by: str | None = pruning.get("metric")
        self._attributes = _attributes(definition)
        baseline: Mapping[str, Any] = definition["baseline"]
        self._parameters = {
            each.field: each for each in map(_parameter, search["space"]["parameters"])
        }
        self._distributions = {
            field: _including(each, shown(baseline[field]))
            if field in baseline and each.has_place_for(baseline[field])
            else distribution_of(each)
            for field, each in self._parameters.items()
        }

    def show(self, history: Sequence[SuggestionRecord]) -> Checked:
        """Makes the study show what the ledger knows of a search: all of it, each thing once."""
        try:
            with quiet(), opened(self._url) as storage:
                return self._show(storage, history)
        except _DATABASE_ERRORS as error:
            cause = error.__cause__ or error
            problem = (str(cause).splitlines() or [type(cause).__name__])[0]
            sentence = f"the study {self._name} could not be written to {self._place}: "
            sentence += without_password(problem.replace(self._url, self._place))
            return Checked(unmended=(f"{sentence}; mend the database and call qdexp doctor",))

    def _show(self, storage: BaseStorage, history: Sequence[SuggestionRecord]) -> Checked:
        study = optuna.create_study(
            storage=storage,
            study_name=self._name,
            directions=directions_of(self._objectives),
            load_if_exists=True,
        )
        study_id = storage.get_study_id_from_name(self._name)
        before = storage.get_all_trials(study_id, deepcopy=False)
        wanted = [self._trial(each) for each in history]
        if difference := self._difference(study, before, wanted):
            return Checked(unmended=(self._unlike(difference),))
        self._describe(study)
        open_ones = [each for each in before if not each.state.is_finished()]
        num_mended = sum(_mend(storage, study_id, each, wanted[each.number]) for each in open_ones)
        for trial in wanted[len(before) :]:
            storage.create_new_trial(study_id, template_trial=trial)
        if not num_mended and len(wanted) == len(before):
            return Checked()
        done = f"{len(wanted) - len(before)} trials added, {num_mended} brought up to date"
        return Checked(mended=(f"the study {self._name} in {self._place}: {done}",))

    def _describe(self, study: optuna.Study) -> None:
        study.set_metric_names([each.metric for each in self._objectives])
        known = study.user_attrs
        for key, value in self._attributes.items():
            if known.get(key) != value:
                study.set_user_attr(key, value)

    def _difference(
        self, study: optuna.Study, before: Sequence[FrozenTrial], wanted: Sequence[FrozenTrial]
    ) -> str:
        """Returns in what a study is not the ledger's, or nothing if it may become so."""
        if study.directions != directions_of(self._objectives):
            directions = ", ".join(each.name.lower() for each in study.directions)
            return f"its objectives are others ({directions})"
        if len(before) > len(wanted):
            return f"it has {len(before) - len(wanted)} trials that the ledger does not know"
        found = (_difference(*each) for each in zip(before, wanted, strict=False))
        return next(filter(None, found), "")

    def _unlike(self, difference: str) -> str:
        return (
            f"the study {self._name} in {self._place} is not the ledger's: {difference}. Another's "
            f"search? Then mirror this one elsewhere by {OPTION}. Else delete it and call qdexp "
            "doctor, which writes it anew"
        )

    def _trial(self, record: SuggestionRecord) -> FrozenTrial:
        suggestion, told = record.suggestion, record.told
        values = {field: shown(value) for field, value in suggestion.values.items()}
        placed = [f for f, value in values.items() if self._parameters[f].has_place_for(value)]
        reason = {"qdexp.reason": told.reason} if told and told.reason else {}
        rungs = mean_rungs(record.rungs)
        trial = create_trial(
            state=(state := state_of(told)),
            values=list(told.values) if told and told.ending == "complete" else None,
            params={field: values[field] for field in placed},
            distributions={field: self._distributions[field] for field in placed},
            user_attrs={
                "qdexp.origin": suggestion.origin,
                _TRIALS: list(record.trial_ids),
                **{f"qdexp.{f}": value for f, value in values.items() if f not in placed},
                **reason,
            },
            intermediate_values=rungs,
        )
        if state == TrialState.PRUNED and rungs and self._is_pruned_by_its_objective:
            trial.values = [rungs[max(rungs)]]  # as Optuna tells it; its pages leave out others
        trial.datetime_start = datetime.fromtimestamp(record.suggested_at)  # as Optuna: local
        if state.is_finished() and record.told_at is not None:
            trial.datetime_complete = datetime.fromtimestamp(record.told_at)
        return trial

    @property
    def _is_pruned_by_its_objective(self) -> bool:
        return [each.metric for each in self._objectives] == [self._pruned_by]


def _difference(trial: FrozenTrial, wanted: FrozenTrial) -> str:
    """Returns in what a trial of a study is not the ledger's, or nothing if it may become so."""
    if trial.user_attrs.get(_TRIALS) != wanted.user_attrs[_TRIALS]:
        return f"its trial {trial.number} is another's"
    if trial.params != wanted.params:
        return f"its trial {trial.number} has other parameters"
    is_open = not trial.state.is_finished()
    is_equal = trial.state == wanted.state and trial.values == wanted.values
    return "" if is_open or is_equal else f"its trial {trial.number} ended otherwise"


def _mend(storage: BaseStorage, study_id: int, trial: FrozenTrial, wanted: FrozenTrial) -> bool:
    """Adds to a trial what it does not show yet; returns whether there was anything."""
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
    rungs = {
        step: value
        for step, value in wanted.intermediate_values.items()
        if trial.intermediate_values.get(step) != value
    }
    for step, value in rungs.items():
        storage.set_trial_intermediate_value(trial_id, step, value)
    attributes = {
        key: value for key, value in wanted.user_attrs.items() if trial.user_attrs.get(key) != value
    }
    for key, value in attributes.items():
        storage.set_trial_user_attr(trial_id, key, value)
    if wanted.state != TrialState.RUNNING:
        storage.set_trial_state_values(trial_id, wanted.state, wanted.values)
    return bool(rungs or attributes) or wanted.state != TrialState.RUNNING


def _attributes(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a study says of itself: what is asked, and what its numbers are."""
    search = definition["search"]
    found = {
        "question": definition.get("question"),
        "value": f"mean over seeds {', '.join(map(str, definition.get('seeds', ())))}",
        "where": search["space"].get("where"),
    }
    if pruning := search.get("pruning"):
        steps = ", ".join(map(str, pruning["steps"]))
        found["intermediate_values"] = f"{pruning['metric']} at step {steps}"
    return {f"qdexp.{key}": value for key, value in found.items() if value}


def _parameter(definition: Mapping[str, Any]) -> Parameter:
    choices: Sequence[Any] = definition.get("choices", ())
    given = {key: value for key, value in definition.items() if key != "choices"}
    return Parameter(choices=tuple(choices), **given)


def _including(parameter: Parameter, value: Any) -> BaseDistribution:  # noqa: ANN401
    """Returns a distribution that has this value, too: the baseline may lie outside the space."""
    distribution = distribution_of(parameter)
    if isinstance(distribution, CategoricalDistribution):
        is_there = value in distribution.choices
        return distribution if is_there else CategoricalDistribution([*distribution.choices, value])
    if parameter.contains(value):
        return distribution
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = min(distribution.low, value), max(distribution.high, value)
    if isinstance(distribution, IntDistribution):
        return IntDistribution(int(low), int(high), log=distribution.log and low > 0)
    return FloatDistribution(low, high, log=distribution.log and low > 0)
