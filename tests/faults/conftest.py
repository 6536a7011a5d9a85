"""One small training, on real latents that are prepared once; and a session of faults."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from aftermath import results
from fault_session import Faults, Undisturbed
from killed_runs import COMMAND, SPEC, ForkServer

from qdexp.config.configuration import Configuration
from qdexp.data.dataset import LatentDataset
from qdexp.experiment.trial import Trial

SMALL: dict[str, Any] = {
    "model.num_embeddings": 64,
    "model.embedding_dim": 8,
    "model.hidden_dim": 16,
    "model.num_layers": 2,
    "model.num_heads": 2,
    "model.patch_size": [1, 1, 1],
    "model.ema_decay": 0.9,
    "model.dead_code_threshold": 0.3,
    "training.max_steps": 8,
    "training.batch_size": 3,
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
    "evaluation.curve_steps": [0, 4],
    "evaluation.curve_clips": 2,
    "evaluation.curve_levels": 2,
    "evaluation.codebook_tokens": 300,
}


@pytest.fixture(scope="session")
def trial() -> Trial:
    """A training of 8 steps that saves after the 3rd, the 6th and the last."""
    configuration = Configuration().replace(SMALL)
    fingerprint = LatentDataset().fingerprint(configuration.data)
    return Trial(configuration=configuration, seed=0, data_fingerprint=fingerprint)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder whose latents all trainings here share."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def latents(trial: Trial, runs: Path) -> Path:
    return LatentDataset().prepare(trial.ours.data, runs / "cache")


FAULTS = Faults()


@pytest.fixture(scope="session")
def faults() -> Faults:
    return FAULTS


@pytest.fixture(scope="session")
def server(faults: Faults) -> Iterator[ForkServer]:
    with ForkServer(faults.mark) as server:
        faults.server_pids.add(server.pid)
        yield server


@pytest.fixture(scope="session")
def undisturbed(server: ForkServer, undisturbed_folder: Path) -> Undisturbed:
    (undisturbed_folder / "sizes.yaml").write_text(SPEC)
    ended = server.run(COMMAND, undisturbed_folder)
    assert ended.code == 0, ended.said
    return Undisturbed(ended=ended, results=results(undisturbed_folder / "runs"))


@pytest.fixture(scope="session")
def undisturbed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture
def unused_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how this session can be repeated."""
    if FAULTS.notes:
        terminalreporter.section("faults")
        terminalreporter.line(
            f"{len(FAULTS.notes)} kills; QDEXP_FAULT_SEED={FAULTS.seed} repeats their choices"
        )
        if terminalreporter.config.option.verbose > 0:
            for note in FAULTS.notes:
                terminalreporter.line(note)
