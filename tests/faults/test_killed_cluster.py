"""Whatever of Ray is killed, the same command finishes as if nothing had been.

One runs folder takes all kills, one after another; if it is complete before, another one is begun.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aftermath import Results, final_outcomes, results
from fault_session import Faults
from killed_runs import MARK, SPEC, ForkServer, end

pytestmark = [pytest.mark.slow, pytest.mark.ray]

LONGER = SPEC.replace("max_steps: 12", "max_steps: 240").replace(
    "every_steps: 3", "every_steps: 20"
)
COMMAND = ["run", "sizes.yaml", "--no-report"]
VICTIMS = [
    ("a worker", signal.SIGKILL),
    ("a worker", signal.SIGTERM),
    ("the raylet", signal.SIGKILL),
    ("the driver", signal.SIGTERM),
    ("the raylet", signal.SIGTERM),
    ("the driver", signal.SIGKILL),
]
IDLE = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
SECONDS = 180.0
"""After this long without a word something hangs."""


class Running:
    """The real command, going on."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Path, faults: Faults) -> None:
        self.process = process
        self._said = said
        self._faults = faults
        self._gone: set[int] = set()

    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def ended(self) -> int:
        """Waits for its exit code as long as it says how it goes on."""
        heard = ""
        while True:
            try:
                return self.process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                said = self.said()
                assert said != heard, f"nothing more was said:\n{said}"
                heard = said

    def find(self, victim: str) -> int | None:
        """Waits for a process that is to be killed; returns None if the run ends before."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"no sign of {victim}:\n{self.said()}"
            pid = self._found(victim) if " started " in self.said() else None
            if pid is not None:
                return pid
            time.sleep(0.05)
        return None

    def _found(self, victim: str) -> int | None:
        if victim == "the driver":
            return self.process.pid
        commands = self._faults.processes().items()
        fitting = {
            "a worker": [
                p for p, c in commands if c.startswith("ray::") and c.split()[0] not in IDLE
            ],
            "the raylet": [p for p, c in commands if c.split()[0].endswith("/raylet")],
        }[victim]
        return next((pid for pid in fitting if pid not in self._gone), None)

    def kill(self, victim: str, number: int, after: float) -> bool:
        """Kills a process some time after it is there; returns whether it was there."""
        pid = self.find(victim)
        if pid is None:
            return False
        try:
            self.process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            end(pid, number)
            self._gone.add(pid)
            return True
        return False


@contextmanager
def running(folder: Path, faults: Faults) -> Iterator[Running]:
    (folder / "sizes.yaml").write_text(LONGER)
    said = folder / "said.txt"
    with (
        said.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "qdexp", *COMMAND],
            cwd=folder,
            env={**os.environ, MARK: faults.mark},
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            yield Running(process, said, faults)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def longer(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The numbers of the inline executor, which are those of Ray, bit for bit."""
    folder = tmp_path_factory.mktemp("longer")
    (folder / "sizes.yaml").write_text(LONGER)
    ended = server.run([*COMMAND, "--executor", "inline"], folder)
    assert ended.code == 0, ended.said
    return results(folder / "runs")


def kill_in_turn(
    waiting: list[tuple[str, signal.Signals]], folder: Path, faults: Faults, chance: random.Random
) -> bool:
    """Runs the experiment once and kills as many of those that wait as that allows.

    Returns whether the folder may be complete.
    """
    victim, number = "nobody", signal.SIGKILL
    with running(folder, faults) as run:
        while waiting:
            victim, number = waiting[0]
            if not run.kill(victim, number, chance.uniform(0, 1.5)):
                break
            waiting.pop(0)
            faults.note(f"{number.name} to {victim} of a Ray cluster")
            if victim != "a worker":
                break
        code = run.ended()
        said = run.said()
    assert code in (0, 130, -number), f"{victim}, {number.name}:\n{said}"
    assert "Traceback" not in said
    assert code != 130 or "goes on" in said
    assert faults.left_processes() == {}
    return code == 0


def test_any_part_of_a_cluster_may_be_killed(
    longer: Results, faults: Faults, tmp_path: Path
) -> None:
    waiting = VICTIMS * max(1, faults.num_kills_of_ray // len(VICTIMS))
    num_kills, chance = len(waiting), faults.chance("ray")
    folder = tmp_path / "0"
    folder.mkdir()
    is_complete = False
    while waiting or not is_complete:
        is_complete = kill_in_turn(waiting, folder, faults, chance)
        if is_complete:
            assert results(folder / "runs") == longer
            assert set(final_outcomes(folder / "runs").values()) == {1}
            assert not list((folder / "runs" / "ray").glob("*"))
            folder = tmp_path / str(len(waiting))
            folder.mkdir(exist_ok=True)
    assert num_kills >= len(VICTIMS)


def test_cluster_that_dies_while_a_trial_waits_to_be_tried_again_interrupts_the_run(
    faults: Faults, tmp_path: Path
) -> None:
    with running(tmp_path, faults) as run:
        while "preparing attempt 2" not in run.said():
            assert run.kill("a worker", signal.SIGKILL, 0.05), run.said()
        assert run.kill("the raylet", signal.SIGKILL, 0.05)
        code = run.ended()
        said = run.said()
    assert code == 130, said
    assert "expected a Ray cluster with a machine that is alive, found none" in " ".join(
        said.split()
    )
    assert "Traceback" not in said
    assert faults.left_processes() == {}
