"""A space's parameters as Optuna's distributions, and values on their way there and back."""

from typing import Any

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from qdexp.experiment.identity import canonical_json
from qdexp.experiment.space import Parameter


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Returns a parameter as Optuna describes it."""
    if parameter.kind == "categorical":
        return CategoricalDistribution([shown(each) for each in parameter.choices])
    low, high = parameter.bounds
    if parameter.step is not None:  # what is above the last step would only warn
        assert parameter.num_values is not None
        high = parameter.value(parameter.num_values - 1)
    if parameter.kind == "int":
        return IntDistribution(
            int(low), int(high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(low, high, log=parameter.log, step=parameter.step)


def shown(value: Any) -> Any:  # noqa: ANN401  of any kind that a field has
    """Returns a value as Optuna stores it: a list becomes text."""
    return value if isinstance(value, str | int | float | None) else canonical_json(value)


def suggested_by(trial: Trial, parameter: Parameter) -> Any:  # noqa: ANN401  as above
    """Returns the value that a trial's sampler has for a parameter, as its field holds it."""
    distribution = distribution_of(parameter)
    if isinstance(distribution, CategoricalDistribution):
        found = trial.suggest_categorical(parameter.field, distribution.choices)
        return parameter.choices[distribution.choices.index(found)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        number = trial.suggest_int(parameter.field, low, high, step=step, log=distribution.log)
    else:
        low, high, step = distribution.low, distribution.high, distribution.step
        number = trial.suggest_float(parameter.field, low, high, step=step, log=distribution.log)
    # Equal values are equal to the last bit: 0.30000000000000004 is a trial of its own.
    return parameter.nearest(number)
