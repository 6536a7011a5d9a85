"""How fast samples were made."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from qdexp.cli.tables import aligned

LEAST_BATCHES = 3
"""With fewer, the slowest and the fastest say nothing."""


@dataclass(kw_only=True)
class Speeds:
    """Frames per second of every batch, after a warm-up that is not counted.

    Args:
        frames: Frames in one batch.
        sampling: Seconds that each batch took to sample.
        decoding: Seconds that each batch took to decode.
    """

    frames: int
    sampling: list[float] = field(default_factory=list[float])
    decoding: list[float] = field(default_factory=list[float])

    def add(self, sampling: float, decoding: float) -> None:
        """Takes note of a batch."""
        self.sampling.append(sampling)
        self.decoding.append(decoding)

    @property
    def seconds_per_batch(self) -> float:
        """The mean so far, decoding included."""
        return sum(self.sampling + self.decoding) / len(self.sampling)

    def table(self) -> str:
        """Returns the median over batches, with the slowest and the fastest."""
        both = [s + d for s, d in zip(self.sampling, self.decoding, strict=True)]
        rows = [
            ("sampling", *self._row(self.sampling)),
            ("sampling and decoding", *self._row(both)),
        ]
        return aligned(("frames per second", "median", "slowest", "fastest", "batches"), rows)

    def _row(self, seconds: Sequence[float]) -> tuple[str, ...]:
        speeds = [self.frames / each for each in seconds]
        found = (statistics.median(speeds), min(speeds), max(speeds))
        return (*(f"{speed:,.4g}" for speed in found), str(len(speeds)))
