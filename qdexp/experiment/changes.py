"""What differs between a baseline and a winner, and which of it can be changed alone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError
from qdexp.experiment.ablation_path import Change
from qdexp.experiment.identity import digest
from qdexp.experiment.trial import Condition, with_effect
from qdexp.experiment.where import Predicate

NO_CONDITIONS: Mapping[str, Predicate] = {}


def _anything(_fields: Mapping[str, Any]) -> bool:
    return True


class Changes:
    """The fields in which a winner differs from a baseline, each set to the winner's value or not.

    Args:
        baseline: The baseline's configuration.
        winner: The winner's values by field; those that are the baseline's are no changes, nor are
            those that say nothing in the winner.
        holds: What every configuration on the way has to satisfy, given all its fields.
        acts: For each field that acts under a condition only: whether it does, given all fields.
            One that does not changes no result.
    """

    def __init__(
        self,
        baseline: Settings,
        winner: Mapping[str, Any],
        *,
        holds: Predicate = _anything,
        acts: Mapping[str, Predicate] = NO_CONDITIONS,
    ) -> None:
        self._baseline = baseline
        self._before = baseline.fields()
        self._winner = {
            field: winner[field]
            for field, value in self._before.items()
            if field in winner and winner[field] != value
        }
        self._holds = holds
        self._acts = acts
        self._known: dict[frozenset[str], str | None] = {}
        self.fields: Change = tuple(self._winner)
        for field in tuple(self._winner):
            without = [each for each in self.fields if each != field]
            if self._trial(without) == self._trial(self.fields):
                self.fields = tuple(without)

    @property
    def levels(self) -> dict[str, list[Any]]:
        """The baseline's value and the winner's of every change."""
        return {field: [self._before[field], self._winner[field]] for field in self.fields}

    def condition(self, changed: Collection[str]) -> dict[str, Any]:
        """Returns every field's level: the winner's of those that are changed."""
        return {
            field: self._winner[field] if field in changed else self._before[field]
            for field in self.fields
        }

    def is_possible(self, changed: Collection[str]) -> bool:
        """Tells whether the configuration with these changes can be run at all."""
        return self._trial(changed) is not None

    def candidates(self, changed: Collection[str]) -> list[Change]:
        """Returns the ways to go on from a place; none where nothing more would change a result.

        Each is one change alone. What is only possible together with others is changed with as few
        of them as need be. What would change nothing yet waits until it does.

        Args:
            changed: What is changed there.
        """
        left = [field for field in self.fields if field not in changed]
        now = self._trial(changed)
        if self._trial(self.fields) == now:
            return []
        found: dict[Change, None] = {}
        for field in left:
            then = self._trial([*changed, field])
            if then is None:
                found[self._together(field, left, changed)] = None
            elif then != now:
                found[(field,)] = None
        return list(found or {self._together(field, left, changed): None for field in left})

    def smallest_possible(self, field: str) -> Change:
        """Returns as few changes as can be set back with one from the winner so that it can run."""
        group = self.fields
        for each in reversed(self.fields):
            rest = [one for one in group if one != each]
            if each != field and self.is_possible([f for f in self.fields if f not in rest]):
                group = tuple(rest)
        return group

    def _together(self, field: str, left: Sequence[str], changed: Collection[str]) -> Change:
        """Returns as few of those left as can be changed with a field so that it says something."""
        now, group = self._trial(changed), list(left)
        for each in reversed(left):
            rest = [one for one in group if one != each]
            if each != field and self._trial([*changed, *rest]) not in (None, now):
                group = rest
        return tuple(group)

    def _trial(self, changed: Collection[str]) -> str | None:
        """Returns what decides the result with these changes, or None where it cannot be run."""
        key = frozenset(changed)
        if key not in self._known:
            self._known[key] = self._digest(key)
        return self._known[key]

    def _digest(self, changed: frozenset[str]) -> str | None:
        values = {field: self._winner[field] for field in self._winner if field in changed}
        try:
            configuration = self._baseline.replace(values)
        except ConfigurationError:
            return None
        fields = configuration.fields()
        if not self._holds(fields):
            return None
        effects = with_effect(configuration)
        return digest(effects | {each: self._before[each] for each in self._idle(values, fields)})

    def _idle(self, values: Condition, fields: Mapping[str, Any]) -> set[str]:
        """Returns the changes that do not act: one that does not may take others with it."""
        idle: set[str] = set()
        while True:
            seen = {**fields, **{each: self._before[each] for each in idle}}
            more = {each for each in values if each in self._acts and not self._acts[each](seen)}
            if more <= idle:
                return idle
            idle |= more
