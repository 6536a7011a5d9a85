"""What differs between two outcomes: numbers beside each other, timings left out where asked."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from qdexp.config.metrics import find
from qdexp.results.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A number that two outcomes have differently; None where one has it not at all."""

    name: str
    one: float | None
    other: float | None

    @property
    def relative(self) -> float | None:
        """The difference as a share of the first number, or None where that has no meaning."""
        if not self.one or self.other is None:
            return None
        share = (self.other - self.one) / abs(self.one)
        return share if math.isfinite(share) else None


def is_timing(name: str, timings: Collection[str] = ()) -> bool:
    """Tells whether a second measurement of the same trial gives another number anyway.

    Args:
        name: The metric's.
        timings: Metrics of a user's own training that are declared as timings.
    """
    declared = find(name)
    is_declared = declared is not None and declared.is_timing
    return is_declared or name.startswith("cost.") or name in timings


def differences(one: Outcome, other: Outcome) -> list[Difference]:
    """Returns the measurements that differ, in the order of the first outcome."""
    names = dict.fromkeys((*one.measurements, *other.measurements))
    pairs = (
        Difference(name=name, one=one.measurements.get(name), other=other.measurements.get(name))
        for name in names
    )
    return [pair for pair in pairs if not _is_equal(pair.one, pair.other)]


def disagreement(one: Outcome, other: Outcome, timings: Collection[str]) -> list[Difference] | None:
    """Returns the numbers on which two results of one trial disagree, or None if they agree.

    Where they ended differently the list may be empty. Numbers are compared exactly: a result is a
    function of its trial, on one kind of machine to the last bit.
    """
    numbers = [each for each in differences(one, other) if not is_timing(each.name, timings)]
    return numbers if numbers or one.status != other.status else None


def _is_equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))
