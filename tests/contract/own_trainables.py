"""Trainings of a user's own, with odd configurations; workers import them from this file."""

import json
import os
import signal
from enum import Enum
from typing import Annotated, Literal

import pydantic

import qdexp


class Kernel(Enum):
    LINEAR = "linear"
    ROUND = "round"


class Tree(pydantic.BaseModel):
    depth: int | None = pydantic.Field(default=4, ge=1)
    leaves: list[int] = [1, 2]


class OddConfig(pydantic.BaseModel):
    """One field of every kind that is supported."""

    steps: int = pydantic.Field(default=4, ge=1, le=100)
    rate: Annotated[float, pydantic.Field(gt=0)] = 0.5
    größe: float = 1.0
    is_deep: bool = False
    kernel: Kernel = Kernel.ROUND
    features: Literal["sqrt", "log2"] | int | None = "sqrt"
    order: Literal["up", "down"] = "up"
    shape: tuple[int, int] = (1, 2)
    tree: Tree = Tree(depth=7)
    workers: int = 1

    @pydantic.model_validator(mode="after")
    def _fits(self) -> "OddConfig":
        if self.is_deep and self.tree.depth == 1:
            raise ValueError("tree.depth: expected at least 2 where is_deep, found 1")
        return self


ERROR = qdexp.Metric(
    name="error", direction="lower", unit="mm", defined_by=("größe",), description="Mean error."
)
SPEED = qdexp.Metric(name="pace", direction="higher", unit="1/s", is_timing=True)
NOTHING = qdexp.Metric(name="size", direction="neither")


@qdexp.trainable(
    configuration=OddConfig,
    metrics=[ERROR, SPEED, NOTHING],
    revision=1,
    fingerprint=lambda config: f"points {config.größe}",
    num_steps=lambda config: config.steps,
    without_effect=["workers"],
)
def odd(trial: qdexp.OwnTrial[OddConfig], workspace: qdexp.Workspace) -> qdexp.Reports:
    """Counts, goes on from its checkpoint, and measures something that depends on all it is given.

    Where ``rate`` is 9, it diverges after a step; where it is 8, it stops its driver once.
    """
    config = trial.configuration
    assert isinstance(config.kernel, Kernel)
    assert workspace.latents is None
    found = workspace.latest_checkpoint()
    step, total = (found[0], json.loads(found[1])) if found else (0, 0.0)
    began_at = step
    while step < config.steps:
        if config.rate == 8 and step == 2 and not found:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does, at its next report
        step += 1
        total += config.rate * (1 + trial.seed / 10 + (config.tree.depth or 0) ** 0.5 / 100)
        workspace.save_checkpoint(step, json.dumps(total).encode())
        yield qdexp.Progress(step=step, num_steps=config.steps, measurements={"error": total})
        if config.rate == 9:
            raise qdexp.DivergedError(step=step, what="total is too large")
    measured = {"error": total, "pace": 1.0, "size": 3.0, "extra": total / 2, "began": began_at}
    yield trial.completed(step=step, measurements=measured)


class NeedyConfig(pydantic.BaseModel):
    name: str
    count: int
    rate: float = 1.0


@qdexp.trainable(
    configuration=NeedyConfig, metrics=[qdexp.Metric(name="error", direction="lower")], revision=2
)
def needy(trial: qdexp.OwnTrial[NeedyConfig], _workspace: qdexp.Workspace) -> qdexp.Reports:
    yield trial.completed(step=0, measurements={"error": trial.configuration.count})


class HillConfig(pydantic.BaseModel):
    x: float = 0.5
    y: float = 0.5
    depth: int = 1
    steps: int = 4
    spoilt: Literal["no", "nan", "raises", "diverges", "hangs", "dies"] = "no"


@qdexp.trainable(
    configuration=HillConfig,
    metrics=[
        qdexp.Metric(name="error", direction="lower"),
        qdexp.Metric(name="cost", direction="lower"),
    ],
    revision=1,
    num_steps=lambda config: config.steps,
)
def hill(trial: qdexp.OwnTrial[HillConfig], workspace: qdexp.Workspace) -> qdexp.Reports:
    """Walks down to (0.3, 0.7), for a search; what is spoilt ends in the way of its name.

    It dies once, and goes on from its checkpoint; in its folder is a line for every attempt.
    """
    config = trial.configuration
    error = (config.x - 0.3) ** 2 + (config.y - 0.7) ** 2 + trial.seed / 1000
    found = workspace.latest_checkpoint()
    with (workspace.folder / "attempts").open("a") as file:
        file.write("one\n")
    step = found[0] if found else 0
    try:
        while step < config.steps:
            step += 1
            yield qdexp.Progress(
                step=step, num_steps=config.steps, measurements={"error": error + 1 / step}
            )
            if config.spoilt == "raises":
                raise ValueError("the hill broke")
            if config.spoilt == "diverges":
                raise qdexp.DivergedError(step=step, what="error is nan")
            workspace.save_checkpoint(step, b"")  # now, so that what it is pruned by was heard
            if config.spoilt == "dies" and not found:
                os.kill(os.getpid(), signal.SIGKILL)
            while config.spoilt == "hangs":
                sum(range(100_000))
        error = float("nan") if config.spoilt == "nan" else error
        yield trial.completed(step=step, measurements={"error": error, "cost": config.x})
    except GeneratorExit:
        workspace.save_checkpoint(step, b"")
        raise
    finally:
        (workspace.folder / "was_closed").touch()
