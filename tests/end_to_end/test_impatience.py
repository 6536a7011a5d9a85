"""The first Ctrl-C waits for a safe point, a second one for nothing; no process is left."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qdexp.results.ledger import Ledger

NEVER_SAFE = """\
import time
from qdexp.results.outcome import Progress
def train(trial, workspace):
    yield Progress(step=1, num_steps=9)
    (workspace.folder / "is_stuck").touch()
    while True:
        time.sleep(0.05)
"""
MARK = "QDEXP_TEST_MARK"


def processes_with(mark: str) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                yield int(folder.name)
        except OSError:
            continue


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_second_signal_stops_at_once_and_loses_nothing(
    tiny_spec: str, tmp_path: Path, executor: str
) -> None:
    (tmp_path / "my_training.py").write_text(NEVER_SAFE)
    spec, runs, mark = tmp_path / "sizes.yaml", tmp_path / "runs", uuid.uuid4().hex
    spec.write_text(tiny_spec + "trainable: my_training:train\n")
    command = [sys.executable, "-m", "qdexp", "run", str(spec), "--runs", str(runs)]
    process = subprocess.Popen(
        [*command, "--executor", executor],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {MARK: mark},
    )
    wait_for(lambda: any(runs.glob("trials/*/is_stuck")))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "a second Ctrl-C stops at once" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "stopped at once by a second SIGINT" in rest
    assert "the same command goes on" in rest
    assert "Traceback" not in rest
    wait_for(lambda: not list(processes_with(mark)))
    with Ledger(runs) as ledger:
        members = ledger.members("sizes")
    assert len(members) == 4
    assert [member.outcome for member in members] == [None] * 4
