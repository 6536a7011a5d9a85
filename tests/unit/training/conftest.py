"""One small trial, on real latents that are prepared once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.data.dataset import LatentDataset
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training import randomness
from qdexp.training import run_trial as module
from qdexp.training.course import Course, make_course
from qdexp.training.opening import initial_state
from qdexp.training.parallel import Ranks
from qdexp.training.run_trial import run_trial
from qdexp.training.training_state import TrainingState

SMALL: dict[str, Any] = {
    "model.num_embeddings": 64,
    "model.embedding_dim": 8,
    "model.hidden_dim": 16,
    "model.num_layers": 2,
    "model.num_heads": 2,
    "model.dropout": 0.1,
    "model.patch_size": [1, 1, 1],
    "model.ema_decay": 0.9,
    "model.dead_code_threshold": 0.3,
    "training.max_steps": 8,
    "training.batch_size": 3,
    "training.gradient_accumulation_steps": 2,
    "training.learning_rate": 1e-3,
    "training.warmup_steps": 3,
    "training.log_every_steps": 3,
    "training.checkpoint_every_steps": 3,
    "data.num_train_clips": 8,
    "data.num_eval_clips": 4,
    "data.num_frames": 5,
    "data.height": 32,
    "data.width": 32,
    "evaluation.num_clips": 3,
    "evaluation.num_levels": 4,
    "evaluation.curve_steps": [0, 2, 4, 50],
    "evaluation.curve_clips": 2,
    "evaluation.curve_levels": 2,
    "evaluation.codebook_tokens": 300,
}


@pytest.fixture(scope="session")
def make_config() -> Callable[..., Configuration]:
    """Builds the small configuration with some fields changed, ``__`` for the dot."""

    def make(**changes: object) -> Configuration:
        return Configuration().replace(
            SMALL | {name.replace("__", "."): value for name, value in changes.items()}
        )

    return make


@pytest.fixture(scope="session")
def start() -> Callable[..., tuple[TrainingState, Course]]:
    """Begins a training of a configuration, on eight clips of noise."""

    def start(
        config: Configuration, *, seed: int = 0, teacher: Path | None = None
    ) -> tuple[TrainingState, Course]:
        torch.set_num_threads(1)
        clips = randomness.noise(99, step=0, shape=(8, *config.latent_shape))
        course = make_course(config, seed, clips, torch.device("cpu"), Ranks())
        return initial_state(course, teacher), course

    return start


@pytest.fixture(scope="session")
def make_trial(make_config: Callable[..., Configuration]) -> Callable[..., Trial]:
    """Builds the small trial with some fields changed."""

    def make(seed: int = 0, **changes: object) -> Trial:
        config = make_config(**changes)
        return Trial(configuration=config, seed=seed, data_fingerprint="clips of the tests")

    return make


@pytest.fixture(scope="session")
def latents_folder(
    tmp_path_factory: pytest.TempPathFactory, make_config: Callable[..., Configuration]
) -> Path:
    return LatentDataset().prepare(make_config().data, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def make_workspace(latents_folder: Path, tmp_path: Path) -> Callable[..., Workspace]:
    def make(name: str, start_from: Path | None = None) -> Workspace:
        return Workspace(folder=tmp_path / name, latents=latents_folder, start_from=start_from)

    return make


@pytest.fixture
def finish(make_workspace: Callable[..., Workspace]) -> Callable[..., Outcome]:
    """Runs a trial to its outcome, in the folder of that name."""

    def finish(trial: Trial, name: str, start_from: Path | None = None) -> Outcome:
        *_, outcome = run_trial(trial, make_workspace(name, start_from))
        assert isinstance(outcome, Outcome)
        return outcome

    return finish


@pytest.fixture
def report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a trial report after each of its steps, however short."""
    monkeypatch.setattr(module, "REPORT_SECONDS", -1.0)


@pytest.fixture(scope="session")
def teacher(
    make_trial: Callable[..., Trial], latents_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The final checkpoint of an unquantized network after a few steps."""
    folder = tmp_path_factory.mktemp("teacher")
    trial = make_trial(model__quantizer="none")
    *_, outcome = run_trial(trial, Workspace(folder=folder, latents=latents_folder))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "completed"
    return folder / "final_checkpoint.pt"
