"""How many conditions and trials a spec asks for, and how that comes about."""

from dataclasses import dataclass
from typing import Any

from qdexp.experiment.designs import Design


@dataclass(frozen=True, kw_only=True)
class DesignSize:
    """A design counted, with what was merged into it, left out of it and added to it.

    Args:
        num_factors: Factors; those zipped together count once.
        design: Which design, in words.
        num_combinations: What the design makes of the factors' levels.
        num_coinciding: How many are one with another, since a conditional factor does not act.
        num_left_out: How many `where` leaves out.
        num_own: Conditions that the spec lists itself.
    """

    num_factors: int
    design: str
    num_combinations: int
    num_coinciding: int = 0
    num_left_out: int = 0
    num_own: int = 0

    @property
    def num_conditions(self) -> int:
        """Conditions that are run."""
        return self.num_combinations - self.num_coinciding - self.num_left_out + self.num_own

    def definition(self, num_seeds: int) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {
            "in_words": self.in_words(num_seeds),
            "combinations": self.num_combinations,
            "coinciding": self.num_coinciding,
            "left_out": self.num_left_out,
            "own": self.num_own,
        }

    def in_words(self, num_seeds: int) -> str:
        """Returns ``4 factors, fractional 2^(4-1) ...: 8 conditions x 3 seeds = 24 trials``."""
        subject = f"{_counted(self.num_factors, 'factor')}, {self.design}: "
        changes = [
            (self.num_coinciding, "- {} that coincide where a factor does not act"),
            (self.num_left_out, "- {} that `where` leaves out"),
            (self.num_own, "+ {} of its own"),
        ]
        sums = [text.format(count) for count, text in changes if count]
        if sums:
            subject += " ".join([_counted(self.num_combinations, "combination"), *sums, "= "])
        num_trials = self.num_conditions * num_seeds
        conditions = _counted(self.num_conditions, "condition")
        trials = _counted(num_trials, "trial")
        return f"{subject}{conditions} x {_counted(num_seeds, 'seed')} = {trials}"


def size_of(design: Design, *, num_factors: int, num_own: int = 0) -> DesignSize:
    """Returns a design's size, without making it."""
    return DesignSize(
        num_factors=num_factors,
        design=design.in_words,
        num_combinations=design.num_conditions,
        num_own=num_own,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
