"""How small the smallest p value over several looks gets by chance, where there is no effect.

Seeds come one after the other, each with a difference from a normal law of mean 0; at each look the
t test of all so far has a p value. The law of the smallest of them has no closed form: it is
simulated. Those of the schedules that a spec can ask for by its `min` and `max` are in a file, made
by ``python benchmarks/null_laws.py``; any other is simulated where it is needed, always alike.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

FILE = Path(__file__).with_name("null_laws.json")

GRID = 10.0 ** np.linspace(-5, 0, 41)
"""The p values at which laws are tabulated."""

NUM_DRAWS = 400_000
"""Experiments simulated for a schedule that is not in the file: the law at 0.05 to 1 in 150."""

CHUNK = 100_000


@dataclass(frozen=True, kw_only=True)
class NullLaw:
    """The law of the smallest p over the looks of a schedule, between points of `GRID` by logs.

    Args:
        num_looks: Looks of the schedule: no law exceeds so many times p (Bonferroni).
        chances: The chance that the smallest p is at most each point of `GRID`.
    """

    num_looks: int
    chances: Float[np.ndarray, " points"]

    def chance(self, p: float) -> float:
        """Returns the chance that the smallest p is at most `p`."""
        if p < GRID[0]:
            return min(self.num_looks * p, float(self.chances[0]))
        return float(np.exp(np.interp(np.log(p), np.log(GRID), np.log(self.chances))))

    def nominal(self, chance: float) -> float:
        """Returns the p that the smallest one is at most with this chance."""
        if chance < self.chances[0]:
            return chance / self.num_looks
        return float(np.exp(np.interp(np.log(chance), np.log(self.chances), np.log(GRID))))


@lru_cache(maxsize=64)
def null_law(schedule: tuple[int, ...], sides: int) -> NullLaw:
    """Returns the law for looks after so many seeds.

    Args:
        schedule: Seeds at each look, rising, from 2.
        sides: 2 for tests of a difference in either direction, 1 for tests in one.
    """
    kept = _file().get(key_of(schedule))
    if kept is None:
        chances = simulated([schedule], NUM_DRAWS)[schedule][sides]
    else:
        chances = np.array(kept[f"{sides}-sided"])
    # A law that the draws did not reach is one draw's: no logarithm of 0.
    floor = 0.5 * GRID / GRID[-1] * 1e-3
    return NullLaw(num_looks=len(schedule), chances=np.maximum(chances, floor))


def key_of(schedule: Sequence[int]) -> str:
    """Returns the name of a schedule in the file."""
    return ", ".join(map(str, schedule))


def simulated(
    schedules: Sequence[tuple[int, ...]], num_draws: int
) -> dict[tuple[int, ...], dict[int, Float[np.ndarray, " points"]]]:
    """Returns the chances at `GRID` for each schedule, by the number of sides.

    The draws are the same for all schedules and at every call.
    """
    most = max(max(schedule) for schedule in schedules)
    counts = {schedule: {1: np.zeros(len(GRID)), 2: np.zeros(len(GRID))} for schedule in schedules}
    generator = np.random.Generator(np.random.Philox(key=3))
    needed = sorted({number for schedule in schedules for number in schedule})
    for _ in range(num_draws // CHUNK):
        p_one = _one_sided(generator.standard_normal((most, CHUNK)), needed)
        p_two = {number: 2 * np.minimum(p, 1 - p) for number, p in p_one.items()}
        for schedule, of in counts.items():
            for sides, p in ((1, p_one), (2, p_two)):
                smallest = np.sort(np.min([p[number] for number in schedule], axis=0))
                of[sides] += np.searchsorted(smallest, GRID, side="right")
    drawn = num_draws // CHUNK * CHUNK
    return {
        schedule: {sides: count / drawn for sides, count in of.items()}
        for schedule, of in counts.items()
    }


def _one_sided(
    draws: Float[np.ndarray, "n draws"], needed: Sequence[int]
) -> dict[int, Float[np.ndarray, " draws"]]:
    """Returns the one-sided p values of the t tests over the first 2, 3, ... draws."""
    found: dict[int, Float[np.ndarray, " draws"]] = {}
    for number in needed:
        first = draws[:number]
        t = first.mean(axis=0) / (first.std(axis=0, ddof=1) / np.sqrt(number))
        found[number] = special.stdtr(number - 1, -t)
    return found


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    laws: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["laws"]
    return laws
