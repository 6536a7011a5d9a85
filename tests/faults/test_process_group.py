"""Signals that reach more than the driver, and drivers that are killed: no Ray process stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toy_assignments import Heard, assignment
from qdexp.backends.ray_tune import RayTuneExecutor
from qdexp.errors import InterruptedRunError
from qdexp.experiment.spec import Resources

class Saying(Heard):
    def on_start(self, trial_id):
        os.write(1, b"started\\n")  # the executor keeps sys.stdout for itself

folder = Path(sys.argv[2])
one = assignment(folder, "is_slow_and_fails_to_clean_up")
try:
    RayTuneExecutor(storage=folder / "ray", resources=Resources()).execute([one], Saying())
except InterruptedRunError:
    sys.exit(130)
"""
MARK = "QDEXP_TEST_OF_PROCESSES"


def running(mark: str) -> list[str]:
    """Returns the processes that inherited an environment variable from a driver of ours."""
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found += [f"{folder.name} {command}"] if command else []  # a zombie has none
        except OSError:
            continue
    return found


def started(folder: Path, mark: str) -> "subprocess.Popen[str]":
    """Returns a driver in a process group of its own, in the middle of a trial."""
    contract = str(Path(__file__).parents[1] / "contract")
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, contract, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        env=os.environ | {MARK: mark},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n", process.communicate()[1]
    return process


def test_sigterm_to_the_whole_group_stops_the_driver_resumably(tmp_path: Path) -> None:
    mark = f"{MARK}={tmp_path}"
    process = started(tmp_path, str(tmp_path))
    assert any("raylet" in each for each in running(mark))
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert running(mark) == []
    assert list((tmp_path / "ray").iterdir()) == []


def test_killed_driver_leaves_no_process_of_ray(tmp_path: Path) -> None:
    mark = f"{MARK}={tmp_path}"
    process = started(tmp_path, str(tmp_path))
    assert any("raylet" in each for each in running(mark))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    for _ in range(600):  # bounded: without the pipe's end they would stay for ever
        if not running(mark):
            return
        time.sleep(0.1)
    pytest.fail("\n".join(running(mark)))
