"""Trainings whose effects are known: an error that is a sum of what settings do, and noise."""

import os
import signal
import zlib
from typing import Any

import numpy as np
import pydantic

import qdexp


class PlantedConfig(pydantic.BaseModel):
    """Settings that act on the error alone, together, or not at all; all are 0 at the baseline."""

    big: float = 0.0
    small: float = 0.0
    nothing: float = 0.0
    key: float = 0.0
    lock: float = 0.0
    low: int = 0
    high: int = 1
    kind: str = "plain"
    depth: int = 0
    noise: float = 0.05
    broken: float = 0.0
    stops: float = 0.0

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "PlantedConfig":
        if self.low >= self.high:
            raise ValueError(f"low: expected it below high, found {self.low} and {self.high}")
        return self


def planted(config: PlantedConfig, seed: int) -> float:
    """Returns the error: what seeds share, what settings do, and noise of this very trial."""
    error = 10.0 - 2.0 * config.big - 1.0 * config.small
    # A key without its lock does harm, as a lock without its key: together they help.
    both = min(config.key, config.lock)
    error += 0.3 * (config.key + config.lock) - 2.1 * both
    error -= 0.02 * (config.low + config.high)
    if config.kind == "deep":
        error += 0.1 - 0.2 * config.depth
    shared = np.random.default_rng(seed).normal()
    text = config.model_dump_json().encode()
    return float(error + shared + config.noise * noise_of(zlib.crc32(text), seed))


def noise_of(*entropy: int) -> float:
    """Returns a standard normal number that follows from whole numbers."""
    return float(np.random.default_rng(entropy).normal())


def measurements(fields: dict[str, Any], seed: int) -> dict[str, float]:
    """Returns what a trial with these fields measures."""
    return {"error": planted(PlantedConfig.model_validate(fields), seed), "cost": fields["big"]}


@qdexp.trainable(
    configuration=PlantedConfig,
    metrics=[
        qdexp.Metric(name="error", direction="lower"),
        qdexp.Metric(name="cost", direction="lower"),
    ],
    revision=1,
)
def plant(trial: qdexp.OwnTrial[PlantedConfig], workspace: qdexp.Workspace) -> qdexp.Reports:
    """Measures what is planted; in its folder is a line for every attempt."""
    config = trial.configuration
    with (workspace.folder / "attempts").open("a") as file:
        file.write("one\n")
    if config.broken == 1.0:
        raise ValueError("this setting is broken")
    if config.broken == 2.0:
        raise qdexp.DivergedError(step=0, what="error is too large")
    if config.stops == 0.5 and trial.seed == 13 and workspace.latest_checkpoint() is None:
        workspace.save_checkpoint(1, b"stopped once")
        os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does, at its next report
    measured = measurements(config.model_dump(), trial.seed)
    yield qdexp.Progress(step=1, num_steps=1, measurements=measured)
    yield trial.completed(step=1, measurements=measured)
