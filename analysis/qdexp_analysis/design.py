"""Which design an experiment has, and what can be estimated from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.trial import Condition
from qdexp_analysis.factor import Axis, Factor, read_axes

BY_DIFFERENCE = ("one_at_a_time", "leave_one_out", "listed")
"""Designs whose conditions are best named by how they differ from one: the baseline or the full."""


@dataclass(frozen=True, kw_only=True)
class Fraction:
    """A regular fraction of a two-level factorial.

    Args:
        generators: One for each letter, signed: ``a b c abc``.
        resolution: Letters of the shortest word of its defining relation.
        aliases: Effects that cannot be told apart, as signed words, the shortest first.
    """

    generators: str
    resolution: int
    aliases: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the conditions of an experiment were chosen.

    Args:
        name: As in the spec: ``full_factorial``, ``one_at_a_time``, ...
        in_words: Its size and where that comes from; empty in ledgers of before.
        axes: What it varies, zipped factors as one.
        fraction: Which part of all combinations, or None.
        own: Positions of the conditions that the spec lists itself.
        baseline: Position of the baseline, or None if it is not planned.
        full: Position of the full condition that factors are left out of, or None.
        set_back: Positions of the conditions in which a factor of it is left out.
        obstacle: Why no factor has an effect over all levels of the others, or None.
    """

    name: str
    in_words: str
    axes: tuple[Axis, ...]
    fraction: Fraction | None
    own: frozenset[int]
    baseline: int | None
    full: int | None
    set_back: tuple[int, ...]
    obstacle: str | None

    @property
    def is_by_difference(self) -> bool:
        """Tells whether conditions are best named by what differs from one that all are near to."""
        return self.name in BY_DIFFERENCE and len(self.axes) > 1


def in_order(
    conditions: Sequence[Condition], factors: Sequence[Factor], definition: Mapping[str, Any]
) -> tuple[Condition, ...]:
    """Returns conditions ordered by their levels' positions in the spec.

    A factor that does not act comes before its levels, and the spec's own conditions come last.
    Conditions that are all near to one are in the order of the plan: that one first.

    Args:
        conditions: All that are different, in the order of the plan.
        factors: What they are made of.
        definition: The spec's definition.
    """
    if definition["design"] in BY_DIFFERENCE:
        return tuple(conditions)
    own: list[Condition] = definition.get("conditions") or []

    def order(condition: Condition) -> tuple[int, list[int]]:
        levels = [
            f.levels.index(condition[f.field]) if condition.get(f.field) in f.levels else -1
            for f in factors
        ]
        return own.index(condition) if condition in own else -1, levels

    return tuple(sorted(conditions, key=order))


def read_design(
    definition: Mapping[str, Any], factors: Sequence[Factor], conditions: Sequence[Condition]
) -> Design:
    """Returns the design of an experiment.

    Args:
        definition: The spec's definition, perhaps of a ledger of before.
        factors: Its factors.
        conditions: Its conditions, in the order in which positions count.
    """
    listed: list[Condition] = definition.get("conditions") or []
    own = frozenset(k for k, condition in enumerate(conditions) if condition in listed)
    designed = [condition for k, condition in enumerate(conditions) if k not in own]
    axes = read_axes(definition, factors, designed)
    baseline = definition.get("baseline") or {f.field: f.baseline for f in factors}
    full = definition.get("full")
    written = definition.get("fraction")
    return Design(
        name=definition["design"],
        in_words=(definition.get("size") or {}).get("in_words", ""),
        axes=axes,
        fraction=None if written is None else _fraction(written),
        own=own,
        baseline=_position(baseline, conditions),
        full=_position(full, conditions),
        set_back=tuple(
            k
            for k, condition in enumerate(conditions)
            if full and k not in own and _differ_in_one(condition, full, axes)
        ),
        obstacle=_obstacle(definition["design"], len(designed), _num_needed(axes, written)),
    )


def _fraction(written: Mapping[str, Any]) -> Fraction:
    return Fraction(
        generators=written["generators"],
        resolution=written["resolution"],
        aliases=tuple(tuple(row) for row in written["aliases"]),
    )


def _position(condition: Condition | None, conditions: Sequence[Condition]) -> int | None:
    found = [k for k, other in enumerate(conditions) if other == condition]
    return found[0] if found else None


def _differ_in_one(one: Condition, other: Condition, axes: Sequence[Axis]) -> bool:
    """Tells whether conditions differ in one axis, of those that act in both."""
    differing = [
        axis
        for axis in axes
        if any(f.field in one and f.field in other for f in axis.factors)
        and any(one.get(f.field) != other.get(f.field) for f in axis.factors)
    ]
    return len(differing) == 1


def _num_needed(axes: Sequence[Axis], fraction: Mapping[str, Any] | None) -> int:
    """Returns how many conditions a complete factorial, or a complete fraction of one, has."""
    if fraction is None:
        return math.prod(len(axis.levels) for axis in axes)
    return 2 ** sum(len(word) == 1 for word in fraction["generators"].split())


def _obstacle(name: str, num_conditions: int, num_needed: int) -> str | None:
    if name == "one_at_a_time":
        return "one factor changes at a time, so that none is seen at other levels of the others"
    if name == "listed":
        return "conditions are listed, and factors change in them together"
    if name == "leave_one_out":
        return "each factor is left out of one condition, and seen at no other levels of the others"
    if num_conditions >= num_needed:
        return None
    missing = f"{num_needed - num_conditions} of {num_needed} combinations of levels are not there"
    return f"{missing}, so that factors are not seen at all levels of the others"
