"""Which configurations a small space has: so it is known how many are left, or why none is."""

from collections.abc import Container
from functools import cached_property

from qdexp.execution.study import Candidates
from qdexp.experiment.search_spec import SearchSpec

MOST = 1_000
"""Combinations of a space up to which they are listed: each is made and checked."""


class Possible:
    """The configurations of a search that differ in something that has an effect.

    Nothing is known of them in a space of more than `MOST` combinations, nor in one of several
    data, which would all be read for it.

    Args:
        spec: The search.
        candidates: The trials of its configurations.
    """

    def __init__(self, spec: SearchSpec, candidates: Candidates) -> None:
        self._spec = spec
        self._candidates = candidates

    def at_most(self, number: int | None, known: Container[str]) -> int | None:
        """Returns a number of configurations, or how many are left where these are fewer.

        Args:
            number: As many as a budget has room for, or None for any number.
            known: Ids of trials, at least of all that were suggested.
        """
        ids = self._trial_ids
        if ids is None:
            return number
        left = sum(each not in known for each in set(ids))
        return left if number is None else min(number, left)

    def why_exhausted(self, known: Container[str]) -> str:
        """Returns why no configuration is left, in words, or nothing if one is or may be."""
        ids = self._trial_ids
        if ids is None or self.at_most(1, known):
            return ""
        number = len(set(ids)) - 1
        if not number:
            text = "its space has no configuration that differs from the baseline"
        else:
            plural, they = ("", "it was") if number == 1 else ("s", "all were")
            text = f"its space has {number} configuration{plural} beside the baseline, and {they} "
            text += "tried"
        if num_equal := len(ids) - len(set(ids)):
            differ = "combination of values differs" if num_equal == 1 else "combinations differ"
            text += f"; {num_equal} other {differ} from these only in what has no effect"
        return text

    @cached_property
    def _trial_ids(self) -> tuple[str, ...] | None:
        """The first trial of the baseline, and that of every other combination of values."""
        spec, space = self._spec, self._spec.space
        total = space.num_combinations
        is_of_one_data = not any(field.startswith("data.") for field in space.fields)
        if total is None or total > MOST or not is_of_one_data:
            return None
        baseline = spec.spec.baseline
        listed = (each for each in space.every(spec.baseline.fields()) if each != baseline)
        ids = [self._candidates.trials(baseline)[0].trial_id]
        ids += [each for values in listed if (each := self._candidates.trial_id(values))]
        return tuple(ids)
