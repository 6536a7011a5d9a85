"""Several looks at growing data: what that does to p values and to the level of intervals.

A p value counts as the chance that the smallest one over all looks of the schedule is as small,
where there is no effect. So whoever looks at each of them, and stops at whichever decides, is wrong
as seldom as who looks once. Nothing but the two p values and the level changes.
"""

from dataclasses import dataclass, replace

from qdexp_analysis.intervals import ALPHA, Estimate
from qdexp_analysis.null_law import null_law


@dataclass(frozen=True, kw_only=True)
class Looks:
    """After how many seeds an experiment is looked at in all, those included that are to come.

    Args:
        schedule: Seeds at each look, rising; a single look, or none, changes nothing.
    """

    schedule: tuple[int, ...] = ()

    @property
    def are_several(self) -> bool:
        """Tells whether anything is to be corrected."""
        return len(self._counting) > 1

    def two_sided(self, p: float | None) -> float | None:
        """Returns a p value of no difference as it counts over all looks."""
        return self._over_all(p, sides=2)

    def one_sided(self, p: float | None) -> float | None:
        """Returns a p value of a one-sided test as it counts over all looks."""
        return self._over_all(p, sides=1)

    def level(self, alpha: float = ALPHA) -> float:
        """Returns the p that is as rare, as the smallest over all looks, as `alpha` at one."""
        return null_law(self._counting, 2).nominal(alpha) if self.are_several else alpha

    def at_level(self, estimate: Estimate) -> Estimate:
        """Returns an estimate whose interval covers at whichever look one stops."""
        return replace(estimate, confidence=1 - self.level()) if self.are_several else estimate

    @property
    def _counting(self) -> tuple[int, ...]:
        """The looks at which there are p values."""
        return tuple(number for number in self.schedule if number > 1)

    def _over_all(self, p: float | None, sides: int) -> float | None:
        if p is None or not self.are_several:
            return p
        return null_law(self._counting, sides).chance(p)


ONE_LOOK = Looks()
