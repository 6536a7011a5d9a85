"""How many conditions and trials a spec asks for, and how that comes about."""

from dataclasses import dataclass
from typing import Any

from qdexp.experiment.counting import counted
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

    def definition(self, in_words: str) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {
            "in_words": in_words,
            "combinations": self.num_combinations,
            "coinciding": self.num_coinciding,
            "left_out": self.num_left_out,
            "own": self.num_own,
        }

    def in_words(self, num_seeds: int, least: int | None = None, num_controls: int = 0) -> str:
        """Returns ``4 factors, fractional 2^(4-1) ...: 8 conditions x 3 seeds = 24 trials``.

        Args:
            num_seeds: Seeds of each condition.
            least: Seeds that each gets in any case, where `num_seeds` is only the most.
            num_controls: Controls, which run for the least number of seeds.
        """
        subject = f"{counted(self.num_factors, 'factor')}, {self.design}: "
        changes = [
            (self.num_coinciding, "- {} that coincide where a factor does not act"),
            (self.num_left_out, "- {} that `where` leaves out"),
            (self.num_own, "+ {} of its own"),
        ]
        sums = [text.format(count) for count, text in changes if count]
        if sums:
            subject += " ".join([counted(self.num_combinations, "combination"), *sums, "= "])
        fewest = num_seeds if least is None else least
        beside = num_controls * fewest
        conditions = counted(self.num_conditions, "condition")
        seeds = _between(fewest, num_seeds, "seed")
        if num_controls:
            controls = counted(num_controls, "control")
            seeds += f" + {controls} x {counted(fewest, 'seed')}"
        low, high = (self.num_conditions * number + beside for number in (fewest, num_seeds))
        return f"{subject}{conditions} x {seeds} = {_between(low, high, 'trial')}"


def size_of(design: Design, *, num_factors: int, num_own: int = 0) -> DesignSize:
    """Returns a design's size, without making it."""
    return DesignSize(
        num_factors=num_factors,
        design=design.in_words,
        num_combinations=design.num_conditions,
        num_own=num_own,
    )


def _between(low: int, high: int, what: str) -> str:
    return counted(high, what) if low == high else f"{low:,} to {counted(high, what)}"
