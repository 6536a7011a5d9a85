"""Optuna's samplers, fresh for each question, so that no state of theirs is outside the ledger."""

from collections.abc import Callable, Mapping
from typing import Any

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler

from qdexp.experiment.search_spec import SamplerName

GENERATION = "NSGAIISampler:generation"
"""The attribute by which NSGA-II knows again which generation a trial is of."""

OF_OPTUNA: Mapping[SamplerName, Callable[..., BaseSampler]] = {
    "tpe": TPESampler,
    "gp": GPSampler,
    "nsga2": NSGAIISampler,
}


def fresh_sampler(name: SamplerName, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """Returns a sampler of Optuna's that knows nothing yet.

    Args:
        name: One of `OF_OPTUNA`.
        options: Checked ones, by Optuna's names.
        seed: Of its random numbers, below 2**32.
    """
    given = dict(options)
    if given.get("group"):  # Optuna has it so by itself, and warns of it at each question
        given["multivariate"] = True
    if name == "gp":  # that a conditional parameter is sampled by itself is as documented
        given["warn_independent_sampling"] = False
    return OF_OPTUNA[name](**given, seed=seed)
