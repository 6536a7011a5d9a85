"""A space's parameters are Optuna's distributions, with their logarithms and their steps."""

from optuna.distributions import FloatDistribution, IntDistribution
from simulated_search import SimulatedSearch, space_of

from qdexp.backends.optuna_suggester.distributions import distribution_of
from qdexp.experiment.space import Parameter


def test_logarithms_are_the_samplers_too() -> None:
    for parameter in (
        Parameter(field="rate", kind="float", low=0.001, high=1.0, log=True),
        Parameter(field="rate", kind="int", low=1, high=1000, log=True),
    ):
        distribution = distribution_of(parameter)
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        assert distribution.log


def test_finest_steps_that_a_spec_may_have() -> None:
    baseline = {"x": 0.123457, "y": 1000.5, "n": 7}
    fine = {
        "x": {"low": 0.0, "high": 1.0, "step": 1e-6},
        "y": {"low": 1000.0, "high": 1001.0, "step": 0.00101},
        "n": {"low": 1, "high": 2**40, "step": 2},
    }
    search = SimulatedSearch(
        space=space_of(fine, baseline),
        baseline=baseline,
        values=lambda values: (values["x"],),
        sampler="tpe",
        options={"n_startup_trials": 2},
    ).run(20)
    assert all(search.space.contains(values, baseline) for values in search.suggested[1:])
