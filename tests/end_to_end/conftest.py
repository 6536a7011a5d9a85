"""Runs the real command line in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Chromium
from page_contract import BINARY

Run = Callable[..., subprocess.CompletedProcess[str]]

TINY_SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set:
  model.hidden_dim: 16
  model.num_layers: 1
  model.num_heads: 2
  model.embedding_dim: 8
  training.max_steps: 6
  training.log_every_steps: 2
  training.warmup_steps: 1
  data.num_train_clips: 16
  data.num_eval_clips: 4
  evaluation.num_clips: 2
  evaluation.num_levels: 4
  evaluation.curve_steps: [0, 3]
  evaluation.curve_clips: 2
  evaluation.codebook_tokens: 2000
factors:
  model.num_embeddings: {levels: [32, 64], baseline: 32}
seeds: 2
"""


@pytest.fixture(scope="session")
def qdexp() -> Run:
    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "qdexp", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    assert BINARY is not None
    with Chromium.started(BINARY) as browser:
        yield browser


@pytest.fixture(scope="session")
def tiny_spec() -> str:
    return TINY_SPEC
