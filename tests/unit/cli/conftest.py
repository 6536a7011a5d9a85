"""The commands `train` and `sample` in this process, on small models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qdexp.config.configuration import Configuration
from qdexp.data.dataset import LatentDataset
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.training.run_trial import run_trial
from tests.unit.cli.ended_command import Ended, ended

TRAINED = """\
model: {num_embeddings: 64, embedding_dim: 8, hidden_dim: 16, num_layers: 2, num_heads: 2,
  patch_size: [1, 1, 1], ema_decay: 0.9, dead_code_threshold: 0.3}
training: {max_steps: 8, batch_size: 3, learning_rate: 1e-3, warmup_steps: 3, log_every_steps: 2,
  checkpoint_every_steps: 3}
data: {num_train_clips: 8, num_eval_clips: 4, num_frames: 5, height: 32, width: 32}
evaluation: {num_clips: 3, num_levels: 4, curve_steps: [0, 4], curve_clips: 2, curve_levels: 2,
  codebook_tokens: 300}
"""

SAMPLED: dict[str, Any] = {
    "model.num_embeddings": 64, "model.embedding_dim": 8, "model.hidden_dim": 16,
    "model.num_layers": 2, "model.num_heads": 2, "model.patch_size": [1, 1, 1],
    "training.max_steps": 2, "training.batch_size": 3, "training.learning_rate": 1e-3,
    "diffusion.sampling_steps": 3, "data.num_train_clips": 8, "data.num_eval_clips": 4,
    "data.num_frames": 5, "data.height": 32, "data.width": 32, "evaluation.num_clips": 3,
    "evaluation.num_levels": 4, "evaluation.curve_steps": [0], "evaluation.curve_clips": 2,
    "evaluation.curve_levels": 2, "evaluation.codebook_tokens": 300, "evaluation.shown_clips": 0,
}  # fmt: skip


Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder whose latents all trainings share."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def train(
    tmp_path: Path,
    shared_runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs `qdexp train --config small.yaml` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QDEXP_RUNS", str(shared_runs))
    Path("small.yaml").write_text(TRAINED)

    def train(*words: object) -> Ended:
        command = ["train", "--config", "small.yaml", *map(str, words)]
        return ended(command, monkeypatch, capsys)

    return train


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Final checkpoints of small models: of each objective, and one without codes."""
    folder = tmp_path_factory.mktemp("trained")
    config = Configuration().replace(SAMPLED)
    latents = LatentDataset().prepare(config.data, folder / "cache")
    found: dict[str, Path] = {}
    for name, changes in {
        "none": {"model.quantizer": "none"},
        "diffusion": {},
        "dmd": {"training.objective": "dmd", "model.codes_per_token": 2},
    }.items():
        trial = Trial(configuration=config.replace(changes), seed=0, data_fingerprint="d")
        teacher = found["none"] if name == "dmd" else None
        space = Workspace(folder=folder / name, latents=latents, teacher=teacher)
        list(run_trial(trial, space))
        found[name] = space.folder / "final_checkpoint.pt"
    return found


@pytest.fixture
def sample(
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs `qdexp sample` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def sample(*words: object, of: object = "diffusion", out: str = "out") -> Ended:
        command = ["sample", "--checkpoint", checkpoints.get(str(of), of), "--out", out, *words]
        return ended([*map(str, command)], monkeypatch, capsys)

    return sample
