"""Which parameters of a search mattered, by Optuna's fANOVA on what it tried."""

import math
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord

SEED = 0
"""Of the forest: the same records give the same shares."""


def importances(
    parameters: Sequence[Parameter], complete: Sequence[SuggestionRecord], objective: int
) -> dict[str, float]:
    """Returns each parameter's share of the variance of a forest's predictions, alone.

    By Hutter, Hoos and Leyton-Brown (2014). Shares are of the whole variance: what is missing from
    1 belongs to several parameters together, so that a pure interaction makes no parameter look
    important. Values that are searched by their logarithm count by it.

    Args:
        parameters: The space.
        complete: Suggestions that measured every objective.
        objective: Position of the one that is explained.

    Returns:
        By field, in the space's order, of those that act in every suggestion; 0 where nothing
        varies.
    """
    complete = [each for each in complete if _is_placed(each, parameters)]
    shown = [p for p in parameters if all(p.field in each.suggestion.values for each in complete)]
    places = {each.field: _places(each, complete) for each in shown}
    study = _quiet_study()
    study.add_trials(
        create_trial(
            value=record.told.values[objective],
            params={field: found[row] for field, (_, found) in places.items()},
            distributions={field: distribution for field, (distribution, _) in places.items()},
        )
        for row, record in enumerate(complete)
        if record.told is not None
    )
    if not shown or len({trial.value for trial in study.trials}) < 2:
        return {each.field: 0.0 for each in shown}
    found = FanovaImportanceEvaluator(seed=SEED).evaluate(study)
    return {each.field: float(found[each.field]) for each in shown}


def _is_placed(record: SuggestionRecord, parameters: Sequence[Parameter]) -> bool:
    """Tells whether all values can stand beside others: a baseline may have none for a number."""
    values = record.suggestion.values
    return all(
        each.has_place_for(values[each.field]) for each in parameters if each.field in values
    )


def _quiet_study() -> optuna.Study:
    """Returns a study in memory that nobody is told of."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study()
    finally:
        optuna.logging.set_verbosity(before)


def _places(
    parameter: Parameter, complete: Sequence[SuggestionRecord]
) -> tuple[BaseDistribution, list[float]]:
    """Returns where values stand, and where they may: choices by their number.

    The baseline may be outside of the space: it is part of it here.
    """
    values = [each.suggestion.values[parameter.field] for each in complete]
    if parameter.kind == "categorical":
        choices = [*parameter.choices, *(v for v in values if v not in parameter.choices)]
        distribution = CategoricalDistribution(range(len(choices)))
        return distribution, [choices.index(value) for value in values]
    ends = [float(end) for end in (parameter.low, parameter.high) if end is not None]
    numbers = [float(value) for value in values]
    if parameter.log and min(*ends, *numbers) > 0:
        ends, numbers = [math.log(end) for end in ends], [math.log(value) for value in numbers]
    return FloatDistribution(min(*ends, *numbers), max(*ends, *numbers)), numbers
