"""Experiments that are looked at after each added seed, and how often that misleads.

Whole experiments are simulated: a difference for each condition, seed and clip, twelve seeds long.
`judge_in_course` writes the report's verdicts; it reads of those twelve what a run would have made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from measures import Figure
from qdexp_analysis.contrasts import Contrast, Margin, Scores
from qdexp_analysis.looks import Looks
from qdexp_analysis.sequence import Course, Judged, judge_in_course

from qdexp.experiment.looks import looks_between

SCHEDULE = looks_between(3, 12).schedule
ADAPTIVE = Course(looks=Looks(schedule=SCHEDULE), is_adaptive=True)
BY_HAND = Course(looks=Looks(schedule=SCHEDULE), is_adaptive=False)
FIXED = Course()
NUM_EXPERIMENTS = 2000
BASELINE = 0
LEVEL = 10.0
"""Mean of the baseline: far above its spread, as losses are."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return draw.normal(size=shape)


def heavy(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return draw.standard_t(3, size=shape) / np.sqrt(3)


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true of simulated experiments.

    Args:
        effects: Of each condition but the baseline.
        noise: The law of the rest, of variance 1.
        scales: Its standard deviation, by condition, the baseline first.
        num_clips: Held-out clips, each with an effect of its own on every condition.
        clip_scale: The standard deviation of those.
        missing: The chance that a trial fails.
    """

    effects: tuple[float, ...] = (0.0, 0.0, 0.0)
    noise: Noise = normal
    scales: tuple[float, ...] = (0.7, 0.7, 0.7, 0.7)
    num_clips: int = 1
    clip_scale: float = 0.0
    missing: float = 0.0

    def scores(self, draw: np.random.Generator, num_seeds: int = 12) -> Scores:
        num_conditions, clips = len(self.effects) + 1, self.num_clips
        seeds = draw.normal(0, 2.0, size=(1, num_seeds, 1))  # shared by the conditions of a seed
        own = self.noise(draw, (num_conditions, num_seeds, 1))
        own = own * np.array(self.scales)[:, None, None]
        of_clips = draw.normal(0, self.clip_scale, (num_conditions, 1, clips)) * (clips > 1)
        rest = draw.normal(0, 0.3, (num_conditions, num_seeds, clips)) * (clips > 1)
        values = LEVEL + seeds + own + of_clips + rest
        values += np.array([0.0, *self.effects])[:, None, None]
        values[draw.random((num_conditions, num_seeds)) < self.missing] = np.nan
        nothing = np.zeros((num_conditions, num_seeds), dtype=bool)
        return Scores(values=values, diverged=nothing, direction="lower")


def simulated(
    world: World,
    course: Course,
    margin: Margin | None = None,
    *,
    number: int = NUM_EXPERIMENTS,
    num_seeds: int = 12,
) -> list[Judged]:
    draw = np.random.default_rng(20_240_601)
    settled = np.ones((len(world.effects) + 1, num_seeds), dtype=bool)
    return [
        judge_in_course(world.scores(draw, num_seeds), settled, BASELINE, margin, course)
        for _ in range(number)
    ]


def share(judged: list[Judged], holds: Callable[[Contrast], bool]) -> float:
    """Returns in how many experiments it holds of any contrast."""
    return float(np.mean([any(holds(contrast) for contrast in each.contrasts) for each in judged]))


def is_decided(contrast: Contrast) -> bool:
    return contrast.verdict in ("better", "worse")


def at_most(rate: float, number: int = NUM_EXPERIMENTS) -> float:
    """Returns what an error of `rate` stays below in 99 of 100 such simulations."""
    return rate + 2.33 * np.sqrt(rate * (1 - rate) / number)


def covers(contrast: Contrast, truth: float) -> bool:
    assert contrast.estimate is not None
    assert contrast.estimate.interval is not None
    low, high = contrast.estimate.interval
    return low <= truth <= high


WORLDS = {
    "normal": World(),
    "heavy tails": World(noise=heavy),
    "unequal variances": World(scales=(0.3, 0.2, 0.7, 2.0)),
    "trials that fail at random": World(missing=0.1),
    "clips": World(num_clips=16, clip_scale=0.5),
    "eight contrasts": World(effects=(0.0,) * 8, scales=(0.7,) * 9),
}


Holds = Callable[[World, Contrast], bool]


@dataclass(frozen=True, kw_only=True)
class LookCheck:
    """A figure of experiments that are looked at, and between which limits it must be.

    Args:
        name: What is simulated.
        world: What is true.
        holds: What is counted: in how many experiments it holds of any contrast.
        of_each: Whether it is counted in how many contrasts instead.
    """

    name: str
    world: World
    holds: Holds
    low: float
    high: float
    course: Course = ADAPTIVE
    margin: Margin | None = None
    of_each: bool = False
    number: int = 1000

    def figure(self, number: int | None = None) -> Figure:
        """Simulates it, in as many experiments as a test does, or in others."""
        judged = simulated(self.world, self.course, self.margin, number=number or self.number)
        found = [[self.holds(self.world, c) for c in each.contrasts] for each in judged]
        shares = np.array([np.mean(each) if self.of_each else any(each) for each in found])
        variance = max(float(shares.var()), 1 / len(shares) / len(found[0]))
        return Figure(value=float(shares.mean()), error=float(np.sqrt(variance / len(shares))))


def _is_decided(_: World, contrast: Contrast) -> bool:
    return is_decided(contrast)


def _is_equivalent(_: World, contrast: Contrast) -> bool:
    return contrast.verdict == "equivalent"


def _covers(world: World, contrast: Contrast) -> bool:
    return covers(contrast, world.effects[contrast.condition - 1])


NO_EFFECT = tuple(
    LookCheck(
        name=name,
        world=world,
        holds=_is_decided,
        low=0.0,
        high=0.05,
        number=NUM_EXPERIMENTS if world == World() else 600,
    )
    for name, world in WORLDS.items()
)
BY_HAND_CHECK = LookCheck(
    name="normal, seeds raised by hand",
    world=World(),
    holds=_is_decided,
    low=0.0,
    high=0.05,
    course=BY_HAND,
)
AT_THE_MARGIN = LookCheck(
    name="normal, every difference at the margin",
    world=World(effects=(1.0, 1.0, -1.0)),
    holds=_is_equivalent,
    low=0.0,
    high=0.05,
    margin=Margin(value=1.0, is_relative=False),
)
COVERED = tuple(
    LookCheck(
        name=f"{name}, {'no effect' if not any(effects) else 'effects'}",
        world=World(
            effects=effects,
            num_clips=WORLDS[name].num_clips,
            clip_scale=WORLDS[name].clip_scale,
        ),
        holds=_covers,
        low=0.94,
        high=1.0,
        of_each=True,
    )
    for name in ("normal", "clips")
    for effects in ((0.0, 0.0, 0.0), (0.7, 1.5, -2.5))
)
LOOK_CHECKS: Mapping[str, tuple[LookCheck, ...]] = {
    "looks at 3, 5, 8 and 12 seeds, 'better' or 'worse' anywhere without any effect: at most 5 %": (
        *NO_EFFECT,
        BY_HAND_CHECK,
    ),
    "looks, 'equivalent' anywhere at a margin of 1: at most 5 %": (AT_THE_MARGIN,),
    "looks, a contrast's own 95 % interval covers at its last look: at least 94 %": COVERED,
}
