"""How often verdicts are wrong, intervals miss and effects are found, in simulated experiments."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from qdexp_analysis import planning
from qdexp_analysis.contrasts import Contrast, Margin
from qdexp_analysis.intervals import ALPHA
from scipy import stats
from worlds import BASE, World

QUANTILE = 2.6
"""Standard errors that chance moves a simulated figure by, once in a hundred."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A simulated figure with the standard error of its simulation."""

    value: float
    error: float

    def is_within(self, low: float, high: float) -> bool:
        """Tells whether it could be between two limits."""
        slack = QUANTILE * self.error
        return low - slack <= self.value <= high + slack


Measure = Callable[[World, int, np.random.Generator], Figure]


def share(hits: Iterable[bool]) -> Figure:
    """Returns how often something holds, over independent experiments."""
    found = np.array(list(hits), dtype=float)
    return Figure(value=float(found.mean()), error=_error_of_share(found.mean(), len(found)))


def _error_of_share(value: float, number: int) -> float:
    return math.sqrt(max(value * (1 - value), 1 / number) / number)


def false_verdicts(world: World, number: int, draw: np.random.Generator) -> Figure:
    """How often any condition without an effect is called better or worse."""
    return share(
        any(
            contrast.verdict in ("better", "worse") and effect == 0
            for contrast, effect in zip(family, world.effects, strict=True)
        )
        for family in world.judged(number, draw)
    )


def coverage(world: World, number: int, draw: np.random.Generator) -> Figure:
    """How often a contrast's own 95 % interval has the true difference in it."""
    return share(
        _is_in(family[0].estimate.interval, world.effects[0])
        for family in world.judged(number, draw)
        if family[0].estimate is not None
    )


def joint_coverage(world: World, number: int, draw: np.random.Generator) -> Figure:
    """How often all simultaneous intervals of a family have their true differences in them."""
    return share(
        all(_is_in(c.simultaneous, effect) for c, effect in zip(family, world.effects, strict=True))
        for family in world.judged(number, draw)
    )


def _is_in(interval: tuple[float, float] | None, effect: float) -> bool:
    # An interval that is cut at 0 says that 0 is not it: its ends do not count.
    return interval is None or interval[0] < effect < interval[1]


def wrong_equivalence(margin: Margin) -> Measure:
    """How often any condition that is no less than the margin away is called equivalent."""

    def measure(world: World, number: int, draw: np.random.Generator) -> Figure:
        beyond = [abs(effect) >= margin.around(BASE) for effect in world.effects]
        return share(
            any(c.verdict == "equivalent" and far for c, far in zip(family, beyond, strict=True))
            for family in world.judged(number, draw, margin)
        )

    return measure


def equivalent(margin: Margin) -> Measure:
    """How often the first condition is called equivalent."""

    def measure(world: World, number: int, draw: np.random.Generator) -> Figure:
        families = world.judged(number, draw, margin)
        return share(family[0].verdict == "equivalent" for family in families)

    return measure


def power_gap(world: World, number: int, draw: np.random.Generator) -> Figure:
    """How much more often a true effect is found than SciPy's noncentral t says it should be."""
    level = ALPHA / len(world.effects)
    effect = -world.effects[0]
    scale = math.sqrt(2 / world.seeds) * world.by_seed
    critical = stats.t.isf(level / 2, world.seeds - 1)
    expected = float(stats.nct.sf(critical, world.seeds - 1, effect / scale))
    found = share(family[0].verdict == "better" for family in world.judged(number, draw))
    return Figure(value=found.value - expected, error=found.error)


def distance_from_uniform(world: World, number: int, draw: np.random.Generator) -> Figure:
    """Kolmogorov's distance of the null p values from uniform; its 1 % point is 1.63 / sqrt(n)."""
    p = [_p(family[0]) for family in world.judged(number, draw)]
    distance = stats.kstest(p, "uniform").statistic
    return Figure(value=float(distance), error=1.63 / QUANTILE / math.sqrt(number))


def _p(contrast: Contrast) -> float:
    assert contrast.p is not None
    return contrast.p


def pilots_with_power(effect: float) -> Measure:
    """How often the seeds that a pilot suggests do find an effect in four experiments of five."""

    def measure(world: World, number: int, draw: np.random.Generator) -> Figure:
        scale = math.sqrt(2) * world.by_seed
        hits: list[bool] = []
        for (contrast,) in world.judged(number, draw):
            seeds = planning.seeds_needed(contrast.differences, effect, ALPHA)
            # None is 'more than 100', which is enough for these effects.
            hits.append(seeds is None or _power(effect / scale, seeds) >= planning.POWER)
        return share(hits)

    return measure


def _power(effect: float, seeds: int) -> float:
    """Returns the power of a two-sided t test from SciPy's noncentral t alone."""
    critical = stats.t.isf(ALPHA / 2, seeds - 1)
    return float(stats.nct.sf(critical, seeds - 1, effect * math.sqrt(seeds)))
