"""Looks: after how many seeds an experiment is judged, where their number is not fixed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEP = 1.5
"""Each look has so many times the seeds of the one before, rounded up: 3, 5, 8, 12, 18, 27."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """When an experiment is judged whose undecided conditions get more seeds.

    Args:
        schedule: Seeds at each look, rising.
    """

    schedule: tuple[int, ...]

    @property
    def least(self) -> int:
        """Seeds that every condition gets."""
        return self.schedule[0]

    @property
    def most(self) -> int:
        """Seeds that no condition gets more of."""
        return self.schedule[-1]

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {"until_decided": True, "schedule": list(self.schedule)}


def looks_between(least: int, most: int) -> Looks:
    """Returns the looks from so many seeds to so many."""
    schedule = [least]
    while schedule[-1] < most:
        schedule.append(min(most, _more(schedule[-1])))
    return Looks(schedule=tuple(schedule))


def planned_schedule(definition: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the looks that the definition of a spec plans; none where its seeds are fixed."""
    looks: dict[str, Any] = definition.get("looks") or {}
    return tuple(looks.get("schedule", ()))


def _more(seeds: int) -> int:
    return -int(-seeds * STEP // 1)
