"""Designs: which conditions an experiment compares."""

import itertools
from collections.abc import Sequence

from qdexp.experiment.factor import Factor
from qdexp.experiment.trial import Condition


def full_factorial(factors: Sequence[Factor]) -> tuple[Condition, ...]:
    """Returns every combination of levels, the last factor varying fastest."""
    fields = [factor.field for factor in factors]
    combinations = itertools.product(*(factor.levels for factor in factors))
    return tuple(dict(zip(fields, levels, strict=True)) for levels in combinations)


def baseline_condition(factors: Sequence[Factor]) -> Condition:
    """Returns the condition in which every factor has its baseline level."""
    return {factor.field: factor.baseline for factor in factors}
