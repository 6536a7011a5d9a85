"""What the ledger knows of a search, as the study that Optuna's samplers learn from."""

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from qdexp.backends.optuna_suggester.distributions import distribution_of, shown
from qdexp.backends.optuna_suggester.samplers import GENERATION
from qdexp.experiment.search_spec import Objective, Pruning
from qdexp.experiment.space import Space
from qdexp.results.suggestions import SuggestionRecord, Told

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def state_of(told: Told | None) -> TrialState:
    """Returns the state of a trial that ended so, or still runs."""
    return STATES[told.ending] if told else TrialState.RUNNING


def directions_of(objectives: Sequence[Objective]) -> list[StudyDirection]:
    """Returns the objectives' directions as Optuna has them."""
    names = {"lower": StudyDirection.MINIMIZE, "higher": StudyDirection.MAXIMIZE}
    return [names[objective.direction] for objective in objectives]


class _Shared(FrozenTrial):
    """A trial that nobody changes: a study takes it as it is, where Optuna would copy all of it.

    Of 5,000 trials that copying takes four times as long as what the sampler does.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Shared":
        return copy.copy(self)


class StudyOfHistory:
    """Makes a study of suggestions.

    Args:
        space: What is suggested.
        objectives: What is optimised.
        pruning: What stops trials early, or None.
    """

    def __init__(
        self, space: Space, objectives: Sequence[Objective], pruning: Pruning | None
    ) -> None:
        self._parameters = {each.field: each for each in space.parameters}
        self._distributions = {each.field: distribution_of(each) for each in space.parameters}
        self._objectives = objectives
        self._pruning = pruning

    def study(self, history: Sequence[SuggestionRecord]) -> optuna.Study:
        """Returns a study in memory with all suggestions inside the space, running ones included.

        The baseline may lie outside: no sampler could take it for one of its own.
        """
        study = optuna.create_study(directions=directions_of(self._objectives))
        study.add_trials([self._trial(each) for each in history if self._is_inside(each)])
        return study

    def _is_inside(self, record: SuggestionRecord) -> bool:
        values = record.suggestion.values
        return all(self._parameters[field].contains(value) for field, value in values.items())

    def _trial(self, record: SuggestionRecord) -> FrozenTrial:
        told, values = record.told, record.suggestion.values
        at = datetime.fromtimestamp(record.suggested_at)
        return _Shared(
            number=record.suggestion.number,
            trial_id=record.suggestion.number,
            state=state_of(told),
            value=None,
            values=list(told.values) if told and told.ending == "complete" else None,
            datetime_start=at,
            datetime_complete=at if told else None,
            params={field: shown(value) for field, value in values.items()},
            distributions={field: self._distributions[field] for field in values},
            user_attrs={},
            # What no sampler suggested is of NSGA-II's first generation: else it had no children.
            system_attrs={GENERATION: 0} | dict(record.suggestion.attributes),
            intermediate_values=self._intermediate(record),
        )

    def _intermediate(self, record: SuggestionRecord) -> dict[int, float]:
        """Returns what TPE ranks pruned trials by: of one objective alone, small where it is."""
        if self._pruning is None or len(self._objectives) > 1:
            return {}
        sign = 1.0 if self._pruning.direction == self._objectives[0].direction else -1.0
        return {step: sign * value for step, value in mean_rungs(record.rungs).items()}


def mean_rungs(rungs: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """Returns the mean over the trials of a suggestion that reached each step."""
    reached: dict[int, list[float]] = {}
    for values in rungs.values():
        for step, value in values.items():
            reached.setdefault(step, []).append(value)
    return {step: fmean(values) for step, values in sorted(reached.items())}


def attributes_of(study: optuna.Study) -> dict[str, Any]:
    """Returns what the last trial's sampler has to be told of it again."""
    (*_, last) = study.get_trials(deepcopy=False)
    return {GENERATION: last.system_attrs[GENERATION]} if GENERATION in last.system_attrs else {}
