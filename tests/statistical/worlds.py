"""Simulated experiments of which the truth is known, in plain NumPy.

Axes: k conditions (the baseline is the first), s seeds, c clips.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from qdexp_analysis import contrasts
from qdexp_analysis.contrasts import Contrast, Margin
from qdexp_analysis.scores import Scores

BASE = 100.0
"""The baseline's true mean."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

NOISES: Mapping[str, Noise] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    # Three degrees of freedom: the variance is finite, the kurtosis is not.
    "heavy": lambda draw, shape: draw.standard_t(3, size=shape) / np.sqrt(3),
    # Skewed in every trial; the difference of two of them is symmetric.
    "skewed": lambda draw, shape: draw.exponential(size=shape) - 1,
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true, and how noisy it is.

    Args:
        name: It in words.
        effects: The true difference of each condition from the baseline.
        seeds: Replicates.
        clips: Held-out clips; 1 if only their mean is known.
        by_seed: Standard deviation that a seed adds to one condition alone.
        spreads: By how much that is multiplied, by condition; all 1 if empty.
        by_clip: Standard deviation that a clip adds to one condition alone.
        rest: Standard deviation of what is neither's.
        shared: Standard deviation that a seed, and a clip, adds to all conditions alike.
        noise: The shape of what seeds add, one of `NOISES`.
        missing: The chance of a trial to have no result, whatever it is.
        diverging: The share of each condition's trials that diverge, the worst of them, while the
            baseline's all complete.
        has_pairs: Whether conditions are run on the baseline's seeds, or on as many others.
    """

    name: str
    effects: tuple[float, ...] = (0.0,)
    seeds: int = 5
    clips: int = 1
    by_seed: float = 1.0
    spreads: tuple[float, ...] = ()
    by_clip: float = 0.0
    rest: float = 0.0
    shared: float = 3.0
    noise: str = "normal"
    missing: float = 0.0
    diverging: float = 0.0
    has_pairs: bool = True

    def experiment(self, draw: np.random.Generator) -> Scores:
        """Returns one experiment; lower is better."""
        k, s, c = len(self.effects) + 1, self.seeds * (1 if self.has_pairs else 2), self.clips
        own = self.by_seed * NOISES[self.noise](draw, (k, s))
        if self.spreads:
            own *= np.array(self.spreads)[:, None]
        means = BASE + np.array([0.0, *self.effects])[:, None] + own
        values = (means + self.shared * draw.normal(size=s))[:, :, None]
        if c > 1:
            by_clip = self.by_clip * draw.normal(size=(k, 1, c)) + self.shared * draw.normal(size=c)
            values = values + by_clip + self.rest * draw.normal(size=(k, s, c))
        is_lost = draw.random((k, s)) < self.missing
        diverged = np.zeros((k, s), dtype=bool)
        if self.diverging:
            diverged[1:] = own[1:] > np.quantile(own[1:], 1 - self.diverging, axis=1)[:, None]
        if not self.has_pairs:
            is_lost[0, self.seeds :] = is_lost[1:, : self.seeds] = True
        values[is_lost | diverged] = np.nan
        return Scores(values=values, diverged=diverged, direction="lower")

    def judged(
        self, number: int, draw: np.random.Generator, margin: Margin | None = None
    ) -> Iterator[tuple[Contrast, ...]]:
        """Yields what the function that writes a report's verdicts says of such experiments."""
        for _ in range(number):
            yield contrasts.judge(self.experiment(draw), 0, margin)
