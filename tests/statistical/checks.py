"""What must hold of the verdicts: a measure, a world and the limits of the figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from measures import (
    Figure,
    Measure,
    coverage,
    distance_from_uniform,
    equivalent,
    false_verdicts,
    joint_coverage,
    pilots_with_power,
    power_gap,
    wrong_equivalence,
)
from qdexp_analysis.contrasts import Margin
from worlds import World

ABSOLUTE = Margin(value=2.0, is_relative=False)
RELATIVE = Margin(value=0.02, is_relative=True)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A figure, and between which limits it must be."""

    measure: Measure
    world: World
    low: float
    high: float
    number: int = 2000

    def figure(self, number: int | None = None) -> Figure:
        """Simulates it, in as many experiments as a test does, or in others."""
        seed = crc32(self.world.name.encode())
        return self.measure(self.world, number or self.number, np.random.default_rng(seed))

    def holds(self, figure: Figure) -> bool:
        """Tells whether a figure is what it must be."""
        return figure.is_within(self.low, self.high)


def _null(name: str, conditions: int, seeds: int, **noise: object) -> World:
    words = f"{conditions} conditions, {seeds} seeds{', ' if name else ''}{name}"
    return World(name=words, effects=(0.0,) * (conditions - 1), seeds=seeds, **noise)  # type: ignore[arg-type]


NULLS = (
    _null("", 2, 3),
    _null("", 4, 3),
    _null("", 9, 3),
    _null("", 9, 10),
    _null("heavy tails", 9, 5, noise="heavy"),
    _null("heavy tails", 3, 10, noise="heavy"),
    _null("skewed noise, symmetric differences", 6, 4, noise="skewed"),
    _null("unequal variances", 6, 4, spreads=(0.5, 0.2, 0.2, 0.2, 0.2, 5.0)),
    _null("a fifth of the trials missing at random", 9, 6, missing=0.2),
    _null("24 clips, seeds differ", 4, 3, clips=24, by_clip=0.05, rest=0.3),
    _null("24 clips, clips differ", 4, 5, clips=24, by_seed=0.05, by_clip=1.0, rest=0.3),
    _null("24 clips, the rest differs", 4, 5, clips=24, by_seed=0.02, rest=1.0),
    _null("24 clips, all differ", 9, 10, clips=24, by_seed=0.3, by_clip=1.0, rest=1.0),
    _null("unpaired, unequal variances", 4, 5, spreads=(1.0, 0.3, 3.0, 1.0), has_pairs=False),
)
"""Experiments in which no condition has an effect."""

DIVERGING = (
    _null("two of five trials of a condition diverge, the worst", 2, 5, diverging=0.4),
    _null("three of ten diverge, the worst", 5, 10, diverging=0.3),
)
LARGE_BUT_ONE = World(
    name="seven conditions with large effects, one without, 5 seeds",
    effects=(-30.0,) * 4 + (30.0,) * 3 + (0.0,),
)
COVERED = (
    *(_null("", 2, seeds) for seeds in (3, 5, 10)),
    _null("unpaired", 2, 5, spreads=(1.0, 1.5), has_pairs=False),
    *(
        _null(f"24 clips, {what}", 2, seeds, clips=24, **noise)
        for seeds in (3, 5, 10)
        for what, noise in {
            "seeds differ": {"by_clip": 0.05, "rest": 0.3},
            "clips differ": {"by_seed": 0.02, "by_clip": 1.0, "rest": 0.3},
            "the rest differs": {"by_seed": 0.1, "rest": 1.0},
            "all differ": {"by_seed": 0.3, "by_clip": 1.0, "rest": 1.0},
        }.items()
    ),
)
"""Normal noise, fixed designs."""

AT_THE_MARGIN = (
    World(name="2 conditions, 3 seeds", effects=(2.0,), seeds=3, by_seed=0.3),
    World(name="9 conditions, 5 seeds", effects=(2.0, -2.0) * 4, by_seed=0.4),
    World(name="5 conditions, 10 seeds", effects=(2.0, -2.0, 0.0, 9.0), seeds=10, by_seed=0.4),
    World(
        name="4 conditions, 4 seeds, 24 clips",
        effects=(2.0, -2.0, 2.0),
        seeds=4,
        clips=24,
        by_seed=0.2,
        by_clip=0.5,
        rest=0.5,
    ),
    World(
        name="4 conditions, 5 seeds each, unpaired",
        effects=(2.0, -2.0, 2.0),
        by_seed=0.4,
        shared=0.2,
        has_pairs=False,
    ),
)
POWERED = (
    World(name="2 conditions, 3 seeds, effect 3 SD of a difference", effects=(-4.2,), seeds=3),
    World(name="2 conditions, 5 seeds, effect 1.4 SD", effects=(-2.0,)),
    World(name="2 conditions, 10 seeds, effect 1 SD", effects=(-1.414,), seeds=10),
    World(name="5 conditions, 5 seeds, effect 2 SD of one", effects=(-2.9, 0.0, 0.0, 0.0)),
)
EQUIVALENT = World(name="2 conditions, 5 seeds, no effect", effects=(0.0,), by_seed=0.4)
PILOTS = tuple(World(name=f"pilots of {seeds} seeds", seeds=seeds) for seeds in (3, 5))


def _all(
    measure: Measure, worlds: tuple[World, ...], limits: tuple[float, float], number: int = 2000
) -> tuple[Check, ...]:
    low, high = limits
    return tuple(
        Check(measure=measure, world=world, low=low, high=high, number=number) for world in worlds
    )


CHECKS: Mapping[str, tuple[Check, ...]] = {
    "'better' or 'worse' anywhere without any effect: at most 5 %": _all(
        false_verdicts, NULLS, (0.0, 0.05)
    ),
    "'better' or 'worse' anywhere where trials diverge because they are bad: at most 5 %": _all(
        false_verdicts, DIVERGING, (0.0, 0.05)
    ),
    "'better' or 'worse' for the one without an effect: at most 5 %": _all(
        false_verdicts, (LARGE_BUT_ONE,), (0.0, 0.05)
    ),
    "a contrast's own 95 % interval covers: 94 to 96 %": _all(
        coverage, COVERED, (0.94, 0.96), 5000
    ),
    "simultaneous 95 % intervals all cover, without any effect: at least 95 %": _all(
        joint_coverage, (*NULLS[2:4], *NULLS[7:9], *NULLS[-2:]), (0.95, 1.0)
    ),
    "they all cover, where Holm's correction gains most: at least 90 %": _all(
        joint_coverage, (LARGE_BUT_ONE,), (0.9, 1.0)
    ),
    "'equivalent' anywhere at a margin of 2: at most 5 %": _all(
        wrong_equivalence(ABSOLUTE), AT_THE_MARGIN, (0.0, 0.05)
    ),
    "'equivalent' anywhere at a margin of 2 % of the baseline: at most 5 %": _all(
        wrong_equivalence(RELATIVE), AT_THE_MARGIN, (0.0, 0.05)
    ),
    "'equivalent' where it is true: at least 80 %": _all(
        equivalent(ABSOLUTE), (EQUIVALENT,), (0.8, 1.0)
    ),
    "power minus that of the noncentral t: within 2 points": _all(
        power_gap, POWERED, (-0.02, 0.02), 4000
    ),
    "distance of null p values from uniform: none": _all(
        distance_from_uniform, (NULLS[0], _null("", 2, 8)), (0.0, 0.0), 4000
    ),
    "suggested seeds reach 80 % power: in at least 80 % of pilots": _all(
        pilots_with_power(1.5), PILOTS, (0.8, 1.0), 1000
    ),
}
"""Everything that must hold, under its name in the documentation."""
