"""A real training in two processes through Ray: the numbers of one, whatever happens on the way."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qdexp.backends.inline import InlineExecutor
from qdexp.config.configuration import Configuration
from qdexp.config.presets import preset
from qdexp.errors import InterruptedRunError
from qdexp.execution.ports import Assignment, Executor, Workspace
from qdexp.experiment.spec import Resources
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Trial
from qdexp.results.folders import numbered_checkpoints
from qdexp.results.outcome import Outcome, Progress

SHAPE = {
    "model.num_embeddings": 64,
    "model.embedding_dim": 8,
    "model.hidden_dim": 16,
    "model.dropout": 0.0,
    "training.precision": "fp64",
    "training.batch_size": 4,
    "training.max_steps": 8,
    "training.log_every_steps": 2,
    "training.checkpoint_every_steps": 2,
    "data.num_train_clips": 8,
    "data.num_eval_clips": 4,
    "data.num_frames": 5,
    "data.height": 32,
    "data.width": 32,
    "evaluation.num_clips": 3,
    "evaluation.num_levels": 4,
    "evaluation.curve_clips": 2,
    "evaluation.codebook_tokens": 300,
}


class Heard:
    """A listener that remembers the outcome, and may send a signal at a step: once."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.stops_at = stops_at
        self.outcome: Outcome | None = None

    def on_start(self, trial_id: str) -> None:
        assert trial_id

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        assert trial_id
        if self.stops_at is not None and progress.step >= self.stops_at:
            self.stops_at = None  # a second one would end this process at once
            os.kill(os.getpid(), signal.SIGTERM)

    def on_outcome(self, outcome: Outcome) -> None:
        self.outcome = outcome


def executed(executor: Executor, one: Assignment) -> Outcome:
    heard = Heard()
    executor.execute([one], heard)
    assert heard.outcome is not None
    return heard.outcome


def numbers(outcome: Outcome) -> dict[str, Any]:
    """Returns all numbers but costs."""
    return {
        **{name: value for name, value in outcome.measurements.items() if is_result(name)},
        **{f"{name} over time": s.values for name, s in outcome.history.items() if is_result(name)},
        **{f"{name} in full": array.values for name, array in outcome.arrays.items()},
    }


def is_result(name: str) -> bool:
    return not name.startswith("cost.")


def assert_same_numbers(one: Outcome, other: Outcome) -> None:
    mine, theirs = numbers(one), numbers(other)
    assert mine.keys() == theirs.keys()
    for name, values in mine.items():
        assert values == pytest.approx(theirs[name], rel=1e-9, abs=1e-11), name


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from qdexp.data.dataset import LatentDataset

    return LatentDataset().prepare(configuration("ddp").data, tmp_path_factory.mktemp("latents"))


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    from qdexp.backends.ray_tune import RayTuneExecutor, local_cluster

    storage = tmp_path_factory.mktemp("ray")
    with local_cluster():
        yield RayTuneExecutor(storage=storage, resources=Resources(processes=2))


def configuration(parallelism: str) -> Configuration:
    return preset("tiny").replace(SHAPE | {"training.parallelism": parallelism})


def assignment(
    folder: Path, latents: Path, parallelism: str, trainable: str = DEFAULT_TRAINABLE
) -> Assignment:
    trial = Trial(
        configuration=configuration(parallelism),
        seed=0,
        data_fingerprint="none",
        trainable=trainable,
    )
    folder.mkdir()
    return Assignment(trial=trial, workspace=Workspace(folder=folder, latents=latents))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, latents: Path) -> Outcome:
    folder = tmp_path_factory.mktemp("alone") / "trial"
    outcome = executed(InlineExecutor(), assignment(folder, latents, "ddp"))
    assert outcome.status == "completed"
    return outcome


@pytest.mark.ray
@pytest.mark.slow
def test_training_whose_second_process_is_killed_goes_on_to_the_numbers_of_one_process(
    executor: Executor, alone: Outcome, latents: Path, tmp_path: Path
) -> None:
    toy = "toy_trainables:trains_and_loses_its_second_rank"
    dying = assignment(tmp_path / "ddp", latents, "ddp", toy)
    lost = executed(executor, dying)
    assert lost.failure is not None
    assert (lost.status, lost.failure.kind) == ("failed", "worker_lost")
    outcome = executed(executor, dying)
    assert outcome.status == "completed"
    assert outcome.provenance["resumed_from_step"] == 4
    assert outcome.provenance["processes"] == 2
    assert_same_numbers(outcome, alone)


@pytest.mark.ray
@pytest.mark.slow
def test_sharded_training_stopped_at_a_signal_goes_on_to_the_numbers_of_one_process(
    executor: Executor, alone: Outcome, latents: Path, tmp_path: Path
) -> None:
    stopping = assignment(tmp_path / "fsdp", latents, "fsdp")
    with pytest.raises(InterruptedRunError, match="SIGTERM"):
        executor.execute([stopping], Heard(stops_at=1))
    assert numbered_checkpoints(stopping.workspace.folder)
    outcome = executed(executor, stopping)
    assert outcome.status == "completed"
    assert outcome.provenance["resumed_from_step"] > 0
    assert_same_numbers(outcome, alone)
