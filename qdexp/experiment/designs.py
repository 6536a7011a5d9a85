"""Designs: which conditions an experiment compares. Each knows its size before it is made."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qdexp.experiment.factor import Axis
from qdexp.experiment.fraction import Fraction
from qdexp.experiment.trial import Condition


class Design(Protocol):
    """What makes conditions of axes; the baseline is always one of them."""

    @property
    def num_conditions(self) -> int:
        """How many conditions it has."""
        ...

    @property
    def in_words(self) -> str:
        """Which design it is, and where its size comes from."""
        ...

    def conditions(self) -> Iterator[Condition]:
        """Yields the conditions, a level for every field, in the order in which they are run."""
        ...


@dataclass(frozen=True, kw_only=True)
class FullFactorial:
    """Every combination of levels, the last axis varying fastest."""

    axes: Sequence[Axis]

    @property
    def num_conditions(self) -> int:
        """The product of the numbers of levels."""
        return math.prod(len(axis.levels) for axis in self.axes)

    @property
    def in_words(self) -> str:
        """``full factorial 2 x 3``."""
        return f"full factorial {' x '.join(str(len(axis.levels)) for axis in self.axes)}"

    def conditions(self) -> Iterator[Condition]:
        """Yields the combinations."""
        return _combined(itertools.product(*(axis.levels for axis in self.axes)))


@dataclass(frozen=True, kw_only=True)
class OneAtATime:
    """The baseline, and each other level of each axis with the others at their baseline."""

    axes: Sequence[Axis]

    @property
    def num_conditions(self) -> int:
        """One, and the levels that are not the baseline."""
        return 1 + _num_others(self.axes)

    @property
    def in_words(self) -> str:
        """``one at a time (...)``."""
        return f"one at a time (the baseline and {_num_others(self.axes)} with one factor changed)"

    def conditions(self) -> Iterator[Condition]:
        """Yields the baseline, then the others axis by axis."""
        return _around(self.axes, [axis.baseline for axis in self.axes])


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut:
    """The baseline, the full condition, and each in which one axis alone leaves its full level.

    Every axis says what its full level is.
    """

    axes: Sequence[Axis]

    @property
    def num_conditions(self) -> int:
        """Two, and the levels that are not full."""
        return 2 + _num_others(self.axes)

    @property
    def in_words(self) -> str:
        """``leave one out (...)``."""
        others = _num_others(self.axes)
        return f"leave one out (the baseline, the full condition and {others} with one set back)"

    def conditions(self) -> Iterator[Condition]:
        """Yields the baseline, the full condition, then the others axis by axis."""
        yield baseline_condition(self.axes)
        yield from _around(self.axes, self._full)

    def full_condition(self) -> Condition:
        """Returns the condition in which every axis is at its full level."""
        levels = (axis.levels[at] for axis, at in zip(self.axes, self._full, strict=True))
        return _merged(list(levels))

    @property
    def _full(self) -> list[int]:
        return [axis.full for axis in self.axes if axis.full is not None]


@dataclass(frozen=True, kw_only=True)
class FractionalFactorial:
    """A regular fraction of a two-level factorial, a letter for each axis."""

    axes: Sequence[Axis]
    fraction: Fraction

    @property
    def num_conditions(self) -> int:
        """A power of 2."""
        return self.fraction.num_conditions

    @property
    def in_words(self) -> str:
        """``fractional 2^(4-1) of resolution IV``."""
        return self.fraction.in_words

    def conditions(self) -> Iterator[Condition]:
        """Yields the baseline, then the others."""
        return _combined(
            [
                axis.levels[1 - axis.baseline if changed else axis.baseline]
                for axis, changed in zip(self.axes, row, strict=True)
            ]
            for row in self.fraction.is_changed()
        )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The baseline alone; all else is what the spec lists itself."""

    axes: Sequence[Axis]

    @property
    def num_conditions(self) -> int:
        """One."""
        return 1

    @property
    def in_words(self) -> str:
        """``listed beside the baseline``."""
        return "listed beside the baseline"

    def conditions(self) -> Iterator[Condition]:
        """Yields the baseline."""
        yield baseline_condition(self.axes)


def baseline_condition(axes: Sequence[Axis]) -> Condition:
    """Returns the condition in which every axis is at its baseline."""
    return _merged([axis.levels[axis.baseline] for axis in axes])


def _num_others(axes: Sequence[Axis]) -> int:
    return sum(len(axis.levels) - 1 for axis in axes)


def _around(axes: Sequence[Axis], centre: Sequence[int]) -> Iterator[Condition]:
    """Yields the condition at a centre, and those that differ from it in one axis."""
    middle = [axis.levels[position] for axis, position in zip(axes, centre, strict=True)]
    yield _merged(middle)
    for place, axis in enumerate(axes):
        for position, levels in enumerate(axis.levels):
            if position != centre[place]:
                yield _merged([*middle[:place], levels, *middle[place + 1 :]])


def _combined(rows: Iterable[Sequence[Condition]]) -> Iterator[Condition]:
    return (_merged(row) for row in rows)


def _merged(parts: Sequence[Condition]) -> Condition:
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= dict(part)
    return merged
