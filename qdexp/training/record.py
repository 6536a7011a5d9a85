"""What a training has measured so far: it travels in the checkpoint, in plain numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

from qdexp.results.outcome import Series

_OF_THE_LAST_STEP = ("train.codebook_usage", "train.perplexity")
"""Metrics of a step that no mean over steps would mean anything of; all others are averaged."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The errors of the subset of clips at one step of training, level by level."""

    step: int
    sampled: tuple[float, ...]
    unquantized: tuple[float, ...]


@dataclass(kw_only=True)
class Record:
    """Everything measured up to a step.

    Args:
        history: Values by metric, as (step, value).
        curve: The held-out errors of the subset, in the order of steps.
        sums: Of the metrics that are averaged, over the steps since the last entry in `history`.
        latest: Metrics of the last step.
        steps_in_interval: Steps since the last entry.
        interval_seconds: Time spent in them.
        train_seconds: Time spent in all optimizer steps.
        eval_seconds: Time spent in evaluation.
        warnings: What the outcome's reader must know.
        micro_batch: Clips in one micro-batch since memory ran out, if it did.
    """

    history: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict[str, list[tuple[int, float]]]
    )
    curve: list[CurvePoint] = field(default_factory=list[CurvePoint])
    sums: dict[str, float] = field(default_factory=dict[str, float])
    latest: dict[str, float] = field(default_factory=dict[str, float])
    steps_in_interval: int = 0
    interval_seconds: float = 0.0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list[str])
    micro_batch: int | None = None

    def add_step(self, measured: dict[str, float], seconds: float) -> None:
        """Adds what one optimizer step measured."""
        for name, value in measured.items():
            if name not in _OF_THE_LAST_STEP:
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.latest = measured
        self.steps_in_interval += 1
        self.interval_seconds += seconds
        self.train_seconds += seconds

    def close_interval(self, step: int) -> dict[str, float]:
        """Moves the interval into the history and returns its metrics, timings excepted.

        Losses are means over its steps; the codebook's usage and perplexity are the last step's.
        """
        count = self.steps_in_interval
        measured = self.latest | {name: total / count for name, total in self.sums.items()}
        self.add(step, measured | {"cost.step_seconds": self.interval_seconds / count})
        self.sums, self.steps_in_interval, self.interval_seconds = {}, 0, 0.0
        return measured

    def add(self, step: int, measured: dict[str, float]) -> None:
        """Adds measurements to the history."""
        for name, value in measured.items():
            self.history.setdefault(name, []).append((step, value))

    def drop_evaluation(self) -> None:
        """Forgets held-out errors: they were measured in another way."""
        self.curve.clear()
        for name in [name for name in self.history if name.startswith("eval.")]:
            del self.history[name]

    def latest_of_training(self) -> dict[str, float]:
        """Returns the last value of each metric of training."""
        return {
            name: entries[-1][1]
            for name, entries in self.history.items()
            if name.startswith("train.")
        }

    def series(self) -> dict[str, Series]:
        """Returns the history as an outcome holds it."""
        return {
            name: Series(
                steps=tuple(step for step, _ in entries),
                values=tuple(value for _, value in entries),
            )
            for name, entries in self.history.items()
        }

    def to_plain(self) -> dict[str, Any]:
        """Returns containers and numbers only."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> "Record":
        """Builds the record that `to_plain` described."""
        record = Record(**plain)
        record.curve = [CurvePoint(**point) for point in plain["curve"]]
        return record
