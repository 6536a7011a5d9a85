"""What a trial ended in: always recorded, never absent.

The classes here are plain data that cross process boundaries as JSON.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Status = Literal["completed", "diverged", "failed", "pruned", "cancelled"]
FailureKind = Literal["exception", "out_of_memory", "timeout", "worker_lost"]

FINAL: frozenset[Status] = frozenset({"completed", "diverged"})
"""Outcomes that are results: the trial is not run again."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running trial is, with what it measured since its last report.

    Args:
        step: Optimizer steps done.
        num_steps: Optimizer steps in all.
        measurements: The metrics recorded at `step`, by name.
        gpu_memory_bytes: Peak memory on its GPU so far, or None without one. Shown, not recorded.
        earlier: In the first report of a trial that goes on from a checkpoint: what it measured
            before, by name, as (step, value) at rising steps. A search compares by it; without it
            a kill between a checkpoint and its report loses what was measured there.
    """

    step: int
    num_steps: int
    measurements: dict[str, float] = field(default_factory=dict[str, float])
    gpu_memory_bytes: int | None = None
    earlier: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict[str, list[tuple[int, float]]]
    )


@dataclass(frozen=True, kw_only=True)
class Series:
    """The history of one metric: values at rising steps."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values):
            raise ValueError(f"{len(self.steps)} steps for {len(self.values)} values")


@dataclass(frozen=True, kw_only=True)
class Array:
    """Numbers with a shape, in row-major order."""

    shape: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if math.prod(self.shape) != len(self.values):
            raise ValueError(f"shape {self.shape} for {len(self.values)} values")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a trial did not complete.

    Args:
        reason: One line for people.
        kind: For `failed`, what sort of failure; None for `diverged` and `cancelled`.
        step: The step at which it happened, if known.
        traceback: The worker's traceback, if there was one.
    """

    reason: str
    kind: FailureKind | None = None
    step: int | None = None
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one attempt at a trial.

    Args:
        trial_id: Whose outcome it is.
        status: How it ended.
        step: Optimizer steps done.
        measurements: Final value of every metric measured, by name.
        history: Earlier values of metrics, by name.
        arrays: Larger results by name, such as every held-out clip's error at every noise level.
        warnings: What a reader must know, such as a collapsed codebook.
        failure: The reason, unless completed.
        provenance: Where and with what it ran.
    """

    trial_id: str
    status: Status
    step: int
    measurements: dict[str, float] = field(default_factory=dict[str, float])
    history: dict[str, Series] = field(default_factory=dict[str, Series])
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(
                f"expected a status ({', '.join(get_args(Status))}), found {self.status!r}"
            )
        if (self.failure is None) != (self.status == "completed"):
            raise ValueError(f"a {self.status} outcome with failure={self.failure}")

    @property
    def is_final(self) -> bool:
        """Tells whether the trial is done for good."""
        return self.status in FINAL

    def to_json(self) -> str:
        """Returns the text that crosses process boundaries."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Outcome":
        """Builds the outcome that `to_json` described."""
        content = json.loads(text)
        history = {
            name: Series(steps=tuple(s["steps"]), values=tuple(s["values"]))
            for name, s in content.pop("history").items()
        }
        arrays = {
            name: Array(shape=tuple(a["shape"]), values=tuple(a["values"]))
            for name, a in content.pop("arrays").items()
        }
        failure = content.pop("failure")
        return Outcome(
            history=history,
            arrays=arrays,
            failure=Failure(**failure) if failure else None,
            warnings=tuple(content.pop("warnings")),
            **content,
        )
