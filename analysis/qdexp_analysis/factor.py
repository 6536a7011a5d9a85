"""What an experiment varies, as the ledger keeps it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.trial import Condition
from qdexp_analysis.language import say


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A configuration field that an experiment varies."""

    field: str
    levels: tuple[Any, ...]
    baseline: Any

    @property
    def name(self) -> str:
        """The field without its section."""
        return self.field.rpartition(".")[2]

    @property
    def is_ordered(self) -> bool:
        """Tells whether the levels are two or more numbers."""
        numbers = [
            isinstance(level, (int, float)) and not isinstance(level, bool) for level in self.levels
        ]
        return len(numbers) > 1 and all(numbers)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What the design varies as one: a factor, or factors that are zipped together.

    Args:
        factors: One or several.
        levels: Their levels at each position, from the lowest of the first factor if it is ordered.
        baseline: The levels of the baseline.
    """

    factors: tuple[Factor, ...]
    levels: tuple[Condition, ...]
    baseline: Condition

    @property
    def name(self) -> str:
        """The fields without their sections: ``hidden_dim with num_heads``."""
        return say(" with ").join(factor.name for factor in self.factors)

    @property
    def is_ordered(self) -> bool:
        """Tells whether its positions are different numbers of its first factor."""
        first = self.factors[0]
        return first.is_ordered and len(first.levels) == len(self.levels)

    @property
    def from_lowest(self) -> tuple[Condition, Condition]:
        """Its lowest and its highest levels."""
        field = self.factors[0].field
        ordered = sorted(self.levels, key=lambda levels: levels[field])
        return ordered[0], ordered[-1]

    @property
    def from_baseline(self) -> tuple[Condition, Condition]:
        """The baseline, and the other of two levels."""
        (other,) = (levels for levels in self.levels if levels != self.baseline)
        return self.baseline, other


def read_factors(
    definition: Mapping[str, Any], conditions: Sequence[Condition] = ()
) -> tuple[Factor, ...]:
    """Returns what an experiment varies, in the order of its spec.

    A search varies its parameters; their levels are what was suggested of each so far.

    Args:
        definition: The spec's definition.
        conditions: Those of its trials, in the order of the plan.
    """
    if "search" in definition:
        fields = [each["field"] for each in definition["search"]["space"]["parameters"]]
        return tuple(_searched(field, conditions) for field in fields)
    return tuple(
        Factor(field=f["field"], levels=tuple(f["levels"]), baseline=f["baseline"])
        for f in definition["factors"]
    )


def _searched(field: str, conditions: Sequence[Condition]) -> Factor:
    """Returns a parameter with the values that it had; that of the first is the baseline's."""
    levels = [each[field] for each in conditions if field in each]
    first = conditions[0].get(field) if conditions else None
    return Factor(field=field, levels=_distinct(levels), baseline=first)


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple({json.dumps(value): value for value in values}.values())


def read_axes(
    definition: Mapping[str, Any], factors: Sequence[Factor], conditions: Sequence[Condition]
) -> tuple[Axis, ...]:
    """Returns what the design varies: axes of more than one level.

    Args:
        definition: The spec's definition.
        factors: Its factors.
        conditions: Those that the design made: which levels of zipped factors go together.
    """
    groups: list[list[str]] = definition.get("zip") or []
    axes: list[Axis] = []
    for factor in factors:
        group = next((group for group in groups if factor.field in group), [factor.field])
        if factor.field == group[0]:
            members = tuple(each for each in factors if each.field in group)
            axes.append(_axis(members, conditions))
    return tuple(axis for axis in axes if len(axis.levels) > 1)


def _axis(factors: tuple[Factor, ...], conditions: Sequence[Condition]) -> Axis:
    if len(factors) == 1:
        levels: list[Condition] = [{factors[0].field: level} for level in factors[0].levels]
    else:
        fields = [factor.field for factor in factors]
        acting = [c for c in conditions if all(field in c for field in fields)]
        levels = []
        for condition in acting:
            together = {field: condition[field] for field in fields}
            if together not in levels:
                levels.append(together)
    baseline = {factor.field: factor.baseline for factor in factors}
    return Axis(factors=factors, levels=tuple(levels), baseline=baseline)
