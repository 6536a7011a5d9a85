"""Compiled blocks and GPUs learn what plain blocks on the CPU learn.

The trainings run apart from the tests, whose checks of annotations would break the graphs.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.training import randomness
from qdexp.training.course import Course, make_course
from qdexp.training.opening import initial_state
from qdexp.training.parallel import Ranks
from qdexp.training.train_step import train_step
from qdexp.training.training_state import TrainingState

MakeConfig = Callable[..., Configuration]

SCRIPT = Path(__file__).with_name("shared_training.py")
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
CUDA = pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_CUDA])
LEARNING: dict[str, Any] = {
    "model__dropout": 0.0,
    "training__learning_rate": 1e-2,
    "training__warmup_steps": 0,
}
STEPS = 8


class Trained:
    """The losses of a training, and how far its weights moved."""

    def __init__(self, folder: Path, name: str) -> None:
        found = torch.load(folder / f"{name}.pt", weights_only=True)
        start = torch.load(folder / "start.pt", weights_only=True)["state"]["learner"]["model"]
        ends = found["state"]["learner"]["model"]
        self.losses: list[float] = found["losses"]
        self.moved = torch.cat([(ends[key] - start[key]).flatten().double() for key in start])


def trained(folder: Path, make_config: MakeConfig, **named: dict[str, Any]) -> list[Trained]:
    """Trains each case in one other process: where, and with which changes."""
    start = {"name": "start", "steps": 0, "fields": make_config(**LEARNING).fields()}
    cases = [
        {
            "name": name,
            "steps": STEPS,
            "device": changes.pop("device", "cpu"),
            "fields": make_config(**LEARNING | changes).fields(),
        }
        for name, changes in named.items()
    ]
    file = folder / "cases.json"
    file.write_text(json.dumps([start, *cases]))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [Trained(folder, name) for name in named]


def assert_alike(found: Trained, expected: Trained, *, error: float, angle: float) -> None:
    assert expected.losses[-1] < 0.75 * expected.losses[0]
    assert found.losses == pytest.approx(expected.losses, rel=error)
    assert torch.cosine_similarity(found.moved, expected.moved, dim=0) > 1 - angle


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_compiled_blocks_learn_the_same(
    tmp_path: Path, make_config: MakeConfig, device: str
) -> None:
    plain, compiled = trained(
        tmp_path,
        make_config,
        plain={"device": device},
        compiled={"device": device, "training__compile": True},
    )

    assert_alike(compiled, plain, error=1e-3, angle=1e-3)
    # What was compiled sums in another order: not a bit of difference would mean it was not.
    assert not torch.equal(compiled.moved, plain.moved)


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize(
    ("precision", "error", "angle"),
    [("fp32", 1e-3, 1e-2), ("bf16", 3e-2, 0.1), ("fp16", 5e-3, 0.05)],
)
def test_a_gpu_learns_what_a_cpu_learns(
    tmp_path: Path, make_config: MakeConfig, precision: str, error: float, angle: float
) -> None:
    cpu, gpu = trained(
        tmp_path, make_config, cpu={}, gpu={"device": "cuda", "training__precision": precision}
    )

    assert_alike(gpu, cpu, error=error, angle=angle)


def on_gpu(config: Configuration) -> tuple[TrainingState, Course]:
    clips = randomness.noise(99, step=0, shape=(8, *config.latent_shape))
    course = make_course(config, 0, clips, torch.device("cuda"), Ranks())
    return initial_state(course), course


@pytest.mark.gpu
@NEEDS_CUDA
def test_bf16_is_what_a_gpu_computes_in(make_config: MakeConfig) -> None:
    state, course = on_gpu(make_config(training__precision="bf16"))
    batch = course.batch(0)
    with state.learner.autocast():
        features = state.model.features(batch.x_0, batch.t)

    assert features.dtype == torch.bfloat16


@pytest.mark.gpu
@NEEDS_CUDA
def test_the_fused_optimizer_takes_the_steps_of_the_plain_one(make_config: MakeConfig) -> None:
    weights: list[torch.Tensor] = []
    for is_fused in (True, False):
        state, course = on_gpu(make_config(**LEARNING))
        for group in state.learner.optimizer.param_groups:
            assert group["fused"]
            group["fused"] = is_fused
        for _ in range(STEPS):
            train_step(state, course)
        weights.append(torch.cat([p.detach().flatten() for p in state.model.parameters()]))

    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)
