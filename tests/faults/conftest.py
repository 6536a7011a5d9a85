"""One small training, on real latents that are prepared once; and the choices of faults."""

import os
import random
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from aftermath import Results, results
from killed_runs import COMMAND, SPEC, Ended, ForkServer, marked_processes

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


class Faults:
    """What a session of faults is made of: a seed for its choices, and how many kills.

    Attributes:
        seed: Of all choices, given by ``QDEXP_FAULT_SEED`` or drawn.
        mark: In the environment of every process that is started.
        num_kills_at_writes: Kills of an inline driver at kinds of write.
        num_kills_at_moments: Kills of an inline driver at random moments.
        num_kills_of_ray: Kills of a driver, a worker or a raylet.
    """

    def __init__(self) -> None:
        self.seed = int(os.environ.get("QDEXP_FAULT_SEED") or random.SystemRandom().getrandbits(32))
        self.mark = uuid.uuid4().hex
        num_kills = int(os.environ.get("QDEXP_FAULT_KILLS") or 38)
        self.num_kills_of_ray = max(6, num_kills // 16)
        num_kills -= self.num_kills_of_ray
        self.num_kills_at_moments = num_kills // 4
        self.num_kills_at_writes = num_kills - self.num_kills_at_moments
        self.notes: list[str] = []
        self.server_pid = 0

    def chance(self, what: str) -> random.Random:
        """Returns the generator of one test's choices."""
        return random.Random(f"{self.seed} {what}")

    def note(self, what: str) -> None:
        self.notes.append(what)

    def left_processes(self) -> dict[int, str]:
        """Returns what runs of ours, once what is about to end has had time to."""
        deadline = time.monotonic() + 120  # agents of a raylet that was killed
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def processes(self) -> dict[int, str]:
        """Returns the live processes that were started here, the fork server excepted."""
        found = marked_processes(self.mark)
        found.pop(self.server_pid, None)
        return found


FAULTS = Faults()


@pytest.fixture(scope="session")
def faults() -> Faults:
    return FAULTS


@pytest.fixture(scope="session")
def server(faults: Faults) -> Iterator[ForkServer]:
    with ForkServer(faults.mark) as server:
        faults.server_pid = server.pid
        yield server


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The experiment as it is when nothing happens."""

    ended: Ended
    results: Results


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
