"""One metric of every trial of an experiment, and which of its trials have none.

Axes: k conditions, s seeds, c clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from qdexp.config.metric import Direction
from qdexp_analysis.intervals import ALPHA
from qdexp_analysis.looks import ONE_LOOK, Looks
from qdexp_analysis.missing import depends_p


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One metric of every trial of an experiment.

    Args:
        values: The metric by condition, seed and clip; nan where a trial did not complete. One
            column where only the mean over clips is known.
        diverged: The trials that diverged, by condition and seed.
        direction: Which values are good.
        failed: The trials that failed otherwise, by condition and seed; None if none did.
        looks: How often results that grow were looked at.
    """

    values: Float[np.ndarray, "k s c"]
    diverged: Bool[np.ndarray, "k s"]
    direction: Direction
    failed: Bool[np.ndarray, "k s"] | None = None
    looks: Looks = ONE_LOOK

    @cached_property
    def is_complete(self) -> Bool[np.ndarray, "k s"]:
        """Tells which trials have a value."""
        return np.asarray(np.isfinite(self.values).all(axis=2))

    @cached_property
    def means(self) -> Float[np.ndarray, "k s"]:
        """The metric by condition and seed; nan where a trial did not complete."""
        return self.values.mean(axis=2)

    @property
    def is_lost(self) -> Bool[np.ndarray, "k s"]:
        """Tells which trials ended without a value: they diverged or failed."""
        return self.diverged if self.failed is None else self.diverged | self.failed

    def completed(self, condition: int) -> Float[np.ndarray, "s c"]:
        """Returns the values of a condition's completed trials."""
        return self.values[condition][self.is_complete[condition]]

    def at(self, positions: Sequence[int]) -> "Scores":
        """Returns the scores of some conditions, in the order given."""
        chosen = list(positions)
        failed = None if self.failed is None else self.failed[chosen]
        values, diverged = self.values[chosen], self.diverged[chosen]
        return replace(self, values=values, diverged=diverged, failed=failed)

    def p_depends(self, condition: int, baseline: int) -> float | None:
        """Returns the p value of losing trials as often as the baseline; None if none is lost."""
        lost, done = self.is_lost.sum(axis=1), self.is_complete.sum(axis=1)
        pair = [condition, baseline]
        return depends_p(lost[pair].tolist(), done[pair].tolist())

    def informatively_missing(self, baseline: int) -> Bool[np.ndarray, "k s"]:
        """Tells which trials' values are missing because of what they would have been, perhaps.

        Those that diverged; and those that failed, of a condition that loses clearly more or fewer
        trials than the baseline, and of that.
        """
        missing = self.diverged.copy()
        if self.failed is None or not self.failed.any():
            return missing
        for condition in range(len(self.values)):
            p = None if condition == baseline else self.p_depends(condition, baseline)
            if p is not None and p <= ALPHA:
                missing[[condition, baseline]] = self.is_lost[[condition, baseline]]
        return missing

    def with_worst_for(self, missing: Bool[np.ndarray, "k s"]) -> "Scores":
        """Returns the same with some trials given the worst completed trial's values."""
        completed = self.values[self.is_complete]
        if not len(completed):
            return self
        means = completed.mean(axis=1)
        worst = completed[means.argmin() if self.direction == "higher" else means.argmax()]
        values = self.values.copy()
        values[missing] = worst
        return replace(self, values=values)
