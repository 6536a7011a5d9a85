"""The ablation path: which change from a baseline to a winner was made in which round.

Fawcett and Hoos, 2016, 'Analysing differences between algorithm configurations through ablation':
each round makes every change that is left alone, on top of those made before, and keeps the best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.trial import Condition

Change = tuple[str, ...]
"""Fields that go from the baseline's values to the winner's together, in the factors' order."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to go on from a place on the path.

    Args:
        change: What it changes there.
        condition: Where that leads: the level of every factor, as members of the ledger have it.
        is_listed: Whether the spec still asks for it; not if it was dropped early, or failed.
    """

    change: Change
    condition: Condition
    is_listed: bool = True


@dataclass(frozen=True, kw_only=True)
class Round:
    """All ways to go on from one place on the path.

    Args:
        before: The place, at first the baseline: the level of every factor.
        candidates: What was tried, in the factors' order.
        kept: What was best, or None while that is not decided.
    """

    before: Condition
    candidates: tuple[Candidate, ...]
    kept: Candidate | None


def path_of(definition: Mapping[str, Any]) -> tuple[Round, ...]:
    """Returns the rounds of an experiment's path, in order; none for what has no path.

    A candidate's measurements are those of the experiment's members with its condition.

    Args:
        definition: The spec's definition, as the ledger keeps it.
    """
    path: Mapping[str, Any] = definition.get("path") or {}
    written: Sequence[Mapping[str, Any]] = path.get("rounds") or ()
    changed: dict[str, Any] = {}
    for factor in definition["factors"] if written else ():
        (changed[factor["field"]],) = (
            level for level in factor["levels"] if level != factor["baseline"]
        )
    listed: Sequence[Condition] = definition["conditions"]
    before: Condition = definition["baseline"]
    rounds: list[Round] = []
    for each in written:
        candidates = tuple(
            _candidate(tuple(change), before, changed, listed) for change in each["candidates"]
        )
        kept = each.get("kept")
        found = next((c for c in candidates if kept and c.change == tuple(kept)), None)
        rounds.append(Round(before=before, candidates=candidates, kept=found))
        before = found.condition if found else before
    return tuple(rounds)


def _candidate(
    change: Change, before: Condition, changed: Mapping[str, Any], listed: Sequence[Condition]
) -> Candidate:
    condition = {**before, **{field: changed[field] for field in change}}
    return Candidate(change=change, condition=condition, is_listed=condition in listed)
