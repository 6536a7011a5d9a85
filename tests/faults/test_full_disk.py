"""A disk that takes no more ends a training clearly, and costs nothing that was saved."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training.run_trial import run_trial

pytestmark = pytest.mark.slow


def train(folder: Path, runs: Path, limit: int) -> tuple[int, str]:
    """Runs the real command, whose files may have at most `limit` bytes."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "qdexp", "train", "--config", "small.json", "--out", "grown"]
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "QDEXP_RUNS": str(runs)},
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr


def results(trial: Trial, workspace: Workspace) -> dict[str, Any]:
    """Trains to the end; returns all that was measured, times and memory excepted."""
    *_, outcome = run_trial(trial, workspace)
    assert isinstance(outcome, Outcome)
    numbers = {**outcome.measurements, **outcome.history, **outcome.arrays}
    return {name: value for name, value in numbers.items() if not name.startswith("cost.")}


def test_full_disk_leaves_the_former_checkpoint_to_go_on_from(
    trial: Trial, latents: Path, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "small.json").write_text(trial.ours.model_dump_json())
    grown = Workspace(folder=tmp_path / "grown", latents=latents)
    for report in (reports := run_trial(trial, grown)):
        if report.step == 4:
            break
    reports.close()
    saved = grown.folder / "checkpoint_step_4.pt"
    before = saved.read_bytes()

    code, said = train(tmp_path, runs, limit=len(before) // 2)
    assert code == 1
    assert "Traceback" not in said
    assert "expected a disk that can be written, found: [Errno 27] File too large" in said
    assert f"saved in {saved}; free space and go on with: qdexp train" in said
    assert saved.read_bytes() == before
    assert not list(grown.folder.glob("*.tmp"))

    fresh = Workspace(folder=tmp_path / "fresh", latents=latents)
    assert results(trial, grown) == results(trial, fresh)
