"""The batches of a training, each a function of seed and step; some are made ahead."""

# pyright: basic

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from qdexp.training.parallel import Ranks


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The clean latents (b, c, t, h, w) of a step, their noise and their timesteps (b,)."""

    x_0: Tensor
    noise: Tensor
    t: Tensor

    def split(self, size: int, ranks: Ranks) -> tuple["Batch", ...]:
        """Returns this process's rows of every micro-batch of `size` clips."""
        parts = zip(self.x_0.split(size), self.noise.split(size), self.t.split(size), strict=True)
        rows = ranks.rows(size)
        return tuple(Batch(x_0=x_0[rows], noise=noise[rows], t=t[rows]) for x_0, noise, t in parts)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """Returns the batch where it is computed with, and in which numbers."""
        return Batch(
            x_0=self.x_0.to(device, dtype),
            noise=self.noise.to(device, dtype),
            t=self.t.to(device),
        )


class Batches:
    """Makes the batch of any step; `num_workers` threads make the next ones meanwhile."""

    def __init__(self, draw: Callable[[int], Batch], *, num_workers: int) -> None:
        self._draw = draw
        self._ahead = num_workers
        self._pool = ThreadPoolExecutor(num_workers) if num_workers else None
        self._coming: dict[int, Future[Batch]] = {}

    def take(self, step: int) -> Batch:
        """Returns the batch of a step; the same however often and in whatever order."""
        if self._pool is None:
            return self._draw(step)
        for later in range(step, step + self._ahead + 1):
            if later not in self._coming:
                self._coming[later] = self._pool.submit(self._draw, later)
        batch = self._coming.pop(step).result()
        self._coming = {later: made for later, made in self._coming.items() if later > step}
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forgets the batches that are not needed any more, and ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
