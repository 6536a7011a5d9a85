"""The real command trains: alone, stopped and gone on with, and in two processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qdexp.results.outcome import Outcome

pytestmark = pytest.mark.slow

SMALL = """\
model: {num_embeddings: 64, embedding_dim: 8, hidden_dim: 16, num_layers: 2, num_heads: 2,
  patch_size: [1, 1, 1], ema_decay: 0.9, dead_code_threshold: 0.3}
training: {max_steps: 100000, batch_size: 3, learning_rate: 1e-3, warmup_steps: 3,
  log_every_steps: 3, checkpoint_every_steps: 100000}
data: {num_train_clips: 8, num_eval_clips: 4, num_frames: 5, height: 32, width: 32}
evaluation: {num_clips: 3, num_levels: 4, curve_steps: [0, 4], curve_clips: 2, curve_levels: 2,
  codebook_tokens: 300}
"""
QDEXP = [sys.executable, "-m", "qdexp"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
EXACT = ["--set", "training.precision=fp64", "--set", "model.dropout=0.0"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "small.yaml").write_text(SMALL)
    return folder


@pytest.fixture(scope="module")
def start(folder: Path) -> Start:
    """Starts a command in the folder, where all trainings share their latents."""

    def start(*command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "QDEXP_RUNS": str(folder / "runs")}
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Sends Ctrl-C once it trains; returns the step at which it stopped, and what it said."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step "):
            process.send_signal(signal.SIGINT)
            break
    _, said = process.communicate()
    found = re.search(r"stopped at step (\d+) of 100000; saved in .*checkpoint_step_\1\.pt", said)
    assert found, said
    return int(found[1]), said


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def results(folder: Path) -> dict[str, Any]:
    """Returns all that was measured, times and memory excepted."""
    outcome = Outcome.from_json((folder / "outcome.json").read_text())
    numbers = {**outcome.measurements, **outcome.history, **outcome.arrays}
    return {name: value for name, value in numbers.items() if not name.startswith("cost.")}


def histories(folder: Path) -> dict[str, tuple[float, ...]]:
    outcome = Outcome.from_json((folder / "outcome.json").read_text())
    return {n: series.values for n, series in outcome.history.items() if n.startswith("train.")}


def configuration(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "configuration.json").read_text())


def test_stopped_training_goes_on_by_the_printed_command_bit_for_bit(
    start: Start, folder: Path
) -> None:
    process = start(*QDEXP, "train", "--config", "small.yaml", "--out", "stopped")
    step, said = stopped(process)
    assert process.returncode == 130
    assert "Traceback" not in said
    words = shlex.split(said.splitlines()[-1].partition("go on with: ")[2])
    assert words[0] == "qdexp"
    length = ["--set", f"training.max_steps={step + 7}"]
    goes_on = start(*QDEXP, *words[1:], *length)
    whole = start(*QDEXP, "train", "--config", "small.yaml", *length)
    _, said = finished(goes_on)
    assert f"going on from step {step} of {step + 7}" in said
    out, _ = finished(whole)
    assert "eval.denoising_loss" in out
    assert "train.loss" in results(folder / "stopped")
    assert results(folder / "stopped") == results(folder / "outputs" / "small")


def test_two_processes_stop_together_go_on_and_equal_one_with_twice_the_batch(
    start: Start, folder: Path
) -> None:
    train = ["train", "--config", "small.yaml", *EXACT]
    together = [*TORCHRUN, "-m", "qdexp", *train, "--out", "shared"]
    step, said = stopped(start(*together))
    assert said.count("stopped at step") == 1
    assert "torchrun --nproc_per_node=2 -m qdexp train --config small.yaml" in said
    length = ["--set", f"training.max_steps={step + 4}"]
    goes_on = start(*together, *length)
    alone = start(*QDEXP, *train, *length, "--set", "training.batch_size=6", "--out", "alone")
    out, said = finished(goes_on)
    assert f"going on from step {step}" in said
    assert "2 processes, each with 3 clips of a micro-batch" in said
    assert out.count("eval.denoising_loss") == 1
    finished(alone)
    assert configuration(folder / "shared") == configuration(folder / "alone")
    shared, expected = histories(folder / "shared"), histories(folder / "alone")
    assert shared.keys() == expected.keys()
    for name, values in shared.items():
        assert values == pytest.approx(expected[name], rel=1e-9), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing option '--config'"),
        (["train", "--config", "tiny.json"], "`qdexp presets` writes some"),
        (["train", "--config", "wrong.yaml"], "wrong.yaml:2:3: expected a configuration field"),
        (["train", "--config", "wrong.yaml", "--seed", "-1"], "--seed"),
        (["train", "--config", "small.yaml", "--set", "model.num_heads=5"], "a divisor of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_request_exits_with_2_and_writes_nothing(
    start: Start, folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "wrong.yaml").write_text("model:\n  num_embedings: 64\n")
    before = sorted(folder.rglob("*"))
    process = start(*QDEXP, *arguments)
    out, said = process.communicate()
    assert process.returncode == 2, said
    assert message in said
    assert "Traceback" not in said
    assert out == ""
    assert sorted(folder.rglob("*")) == before
