"""The options that a spec may give are those that the installed Optuna has."""

import inspect
from typing import get_args

import pytest

from qdexp.backends.optuna_suggester.samplers import OF_OPTUNA
from qdexp.experiment.sampler_options import SAMPLERS, Option
from qdexp.experiment.search_spec import SamplerName

NOT_OURS = {
    # About to be removed in Optuna 6, or always on since 5.
    "consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints", "gamma",
    "weights", "multivariate", "warn_independent_sampling", "constraints_func",
    # Functions and objects, which no YAML holds.
    "independent_sampler", "mutation", "crossover", "elite_population_selection_strategy",
    "child_generation_strategy", "after_trial_strategy",
    # The spec's own key.
    "seed",
}  # fmt: skip


def parameters(name: SamplerName) -> dict[str, inspect.Parameter]:
    sampler = OF_OPTUNA[name]
    assert isinstance(sampler, type)
    signature = inspect.signature(sampler.__init__, eval_str=False)
    return {key: each for key, each in signature.parameters.items() if key != "self"}


def test_every_sampler_has_a_table() -> None:
    assert set(SAMPLERS) == set(get_args(SamplerName))


@pytest.mark.parametrize("name", list(OF_OPTUNA))
def test_table_has_every_option_that_a_spec_can_give(name: SamplerName) -> None:
    assert set(SAMPLERS[name]) == set(parameters(name)) - NOT_OURS


@pytest.mark.parametrize("name", list(OF_OPTUNA))
def test_kinds_are_those_of_optuna(name: SamplerName) -> None:
    for key, option in SAMPLERS[name].items():
        annotation = str(parameters(name)[key].annotation).removesuffix(" | None")
        assert annotation == option.kind.__name__, key


@pytest.mark.parametrize("name", list(OF_OPTUNA))
def test_optunas_defaults_are_allowed(name: SamplerName) -> None:
    for key, option in SAMPLERS[name].items():
        default = parameters(name)[key].default
        assert default is None or option.allows(default), key


def test_options_say_what_they_may_be() -> None:
    share = Option(kind=float, most=1)
    assert share.in_words == "a number from 0 to 1"
    assert [share.allows(value) for value in (0, 0.5, 1, 1.1, -1, True, "1")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip
    assert Option(kind=bool).allows(True)
    assert not Option(kind=bool).allows(1)
    assert not Option(kind=int).allows(1.0)
