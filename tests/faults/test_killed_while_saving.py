"""A training that is killed in the middle of a checkpoint's write goes on as if nothing was."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qdexp.execution.ports import Assignment, Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training.run_trial import run_trial

pytestmark = pytest.mark.slow

BLOCKED_TRAINING = """
import os, signal, stat, sys
from qdexp.execution.ports import Assignment
from qdexp.training.run_trial import run_trial

calls, sync = 0, os.fsync

def block(descriptor):
    # A file is synced when all of it was handed over: cutting it is what a dead kernel leaves.
    global calls
    calls += 1
    if calls < int(sys.argv[1]):
        return sync(descriptor)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        os.ftruncate(descriptor, status.st_size // 2)
    print("saving", flush=True)
    signal.pause()

os.fsync = block
assignment = Assignment.from_json(sys.stdin.read())
for report in run_trial(assignment.trial, assignment.workspace):
    pass
"""


@pytest.fixture
def workspace(latents: Path, tmp_path: Path) -> Workspace:
    return Workspace(folder=tmp_path / "trial", latents=latents)


@pytest.fixture(scope="module")
def uninterrupted(
    trial: Trial, latents: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return results(trial, Workspace(folder=folder, latents=latents))


def results(trial: Trial, workspace: Workspace) -> dict[str, Any]:
    """Trains to the end; returns all that was measured, times and memory excepted."""
    *_, outcome = run_trial(trial, workspace)
    assert isinstance(outcome, Outcome)
    numbers = {**outcome.measurements, **outcome.history, **outcome.arrays}
    return {name: value for name, value in numbers.items() if not name.startswith("cost.")}


def kill_while_saving(assignment: Assignment, sync: int) -> None:
    """Trains in a process that is killed in its `sync`-th fsync: of a file, of its folder, ..."""
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED_TRAINING, str(sync)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(assignment.to_json())
    process.stdin.close()
    said = process.stdout.readline()
    assert said == "saving\n", process.stderr.read() if process.stderr else ""
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    if process.stderr:
        process.stderr.close()


@pytest.mark.parametrize(
    ("sync", "left"),
    [
        (1, {"checkpoint_step_3.tmp"}),
        (3, {"checkpoint_step_3.pt", "checkpoint_step_6.tmp"}),
        (6, {"checkpoint_step_3.pt", "checkpoint_step_6.pt", "final_checkpoint.pt"}),
    ],
    ids=["the first one half written", "another half written", "the last one just renamed"],
)
def test_training_killed_while_saving_goes_on_bit_for_bit(
    trial: Trial, workspace: Workspace, uninterrupted: dict[str, Any], sync: int, left: set[str]
) -> None:
    kill_while_saving(Assignment(trial=trial, workspace=workspace), sync)
    assert {path.name for path in workspace.folder.iterdir()} == left
    assert results(trial, workspace) == uninterrupted
    assert not list(workspace.folder.glob("*.tmp"))


def test_half_written_checkpoint_of_a_step_that_is_not_saved_again_is_removed(
    trial: Trial, workspace: Workspace
) -> None:
    workspace.folder.mkdir()
    (workspace.folder / "checkpoint_step_5.tmp").write_bytes(b"half")
    assert results(trial, workspace)
    assert not list(workspace.folder.glob("*.tmp"))
