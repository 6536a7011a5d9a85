"""The batch file is a shell's, and requeues exactly what can go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qdexp.cli.run_command import Request
from qdexp.cli.slurm_command import Allocation, write
from qdexp.errors import RequestError

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [32, 64], baseline: 32}
seeds: 2
resources: {cpus: 3, gpus: 1}
"""

SEARCH = SPEC.replace("factors:", "space:").replace(
    "{levels: [32, 64], baseline: 32}", "{choices: [32, 64]}\nbudget: {trials: 6}"
)

FAKE_DRIVER = """#!/bin/bash
echo "driver $*" >> "$SAID"
while [ "$(grep -c '^srun' "$SAID")" -lt "$SRUNS" ]; do sleep 0.05; done
trap 'echo told >> "$SAID"; exit 130' USR1 TERM
if [ -n "$CODE" ]; then exit "$CODE"; fi
echo $$ > "$PID"
while true; do sleep 0.05; done
"""

FAKES = {
    "scontrol": '[ "$1" = show ] && printf "one\\ntwo\\n" || echo "scontrol $*" >> "$SAID"',
    "srun": 'echo "srun $*" >> "$SAID"; trap "exit 0" TERM; while true; do sleep 0.05; done',
    "seq": "echo 1",
}
"""What stands for Slurm's commands; `seq` makes the wait for Ray's port short."""


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    folder = tmp_path / "a folder's"
    folder.mkdir()
    monkeypatch.chdir(folder)
    spec = Path("sizes $HOME.yaml")
    spec.write_text(SPEC)
    return Request(spec=spec, settings=("training.max_steps=5",), num_seeds=3, runs=Path("my runs"))


class Job:
    """A batch file run as Slurm would, with fakes for Slurm and for the driver."""

    def __init__(self, batch: Path, folder: Path, code: int | None, *, num_sruns: int = 0) -> None:
        self.said = folder / "said"
        self.said.touch()
        self._pid = folder / "pid"
        tools = folder / "tools"
        tools.mkdir()
        for name, body in {**FAKES, "driver": FAKE_DRIVER}.items():
            (tools / name).write_text(body if body.startswith("#!") else f"#!/bin/bash\n{body}\n")
            (tools / name).chmod(0o755)
        text = batch.read_text()
        assert sys.executable in text
        batch.write_text(text.replace(sys.executable, str(tools / "driver")))
        environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "SAID": str(self.said),
            "SRUNS": str(num_sruns),
            "PID": str(self._pid),
            "CODE": "" if code is None else str(code),
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NODELIST": "[one-two]",
            "SLURM_JOB_NUM_NODES": "2",
        }
        self._process = subprocess.Popen(
            ["bash", str(batch)], env=environment, stderr=subprocess.PIPE, text=True
        )

    def tell(self, number: signal.Signals) -> None:
        while not self._pid.exists() or not self._pid.read_text():
            assert self._process.poll() is None
        self._process.send_signal(number)

    def ended(self) -> tuple[int, list[str]]:
        _, problems = self._process.communicate(timeout=60)
        assert problems == ""
        return self._process.returncode, self.said.read_text().splitlines()


@pytest.mark.parametrize("nodes", [1, 2])
def test_batch_file_is_valid_shell_and_asks_for_what_a_trial_needs(
    request_: Request, nodes: int
) -> None:
    allocation = Allocation(time="2-12", nodes=nodes, partition="gpu")
    batch = write(request_, allocation, None)
    assert batch.name == "sizes.sbatch"
    subprocess.run(["bash", "-n", str(batch)], check=True)
    options = [
        line.removeprefix("#SBATCH ")
        for line in batch.read_text().splitlines()
        if line.startswith("#SBATCH ")
    ]
    assert {
        "--requeue", "--signal=B:USR1@120", "--time=2-12", f"--nodes={nodes}", "--partition=gpu",
        "--cpus-per-task=3", "--gpus-per-node=1", "--ntasks-per-node=1", "--open-mode=append",
    } <= set(options)  # fmt: skip


@pytest.mark.parametrize(("code", "requeues"), [(0, 0), (1, 0), (2, 0), (130, 1)])
def test_only_an_interrupted_run_is_requeued(
    request_: Request, tmp_path: Path, code: int, requeues: int
) -> None:
    job = Job(write(request_, Allocation(), None), tmp_path, code)
    ended, said = job.ended()
    assert ended == code
    assert said.count("scontrol requeue 4711") == requeues
    assert said[0].startswith("driver -m qdexp run sizes $HOME.yaml --runs /")
    assert said[0].endswith("/my runs --set training.max_steps=5 --seeds 3")


def test_search_is_searched(request_: Request, tmp_path: Path) -> None:
    Path(str(request_.spec)).write_text(SEARCH)
    code, said = Job(write(request_, Allocation(), None), tmp_path, 0).ended()
    assert code == 0
    assert said[0].startswith("driver -m qdexp search sizes $HOME.yaml --runs /")


@pytest.mark.parametrize("nodes", [1, 2])
def test_end_of_the_time_is_told_to_the_driver_and_requeues(
    request_: Request, tmp_path: Path, nodes: int
) -> None:
    job = Job(write(request_, Allocation(nodes=nodes), None), tmp_path, None)
    job.tell(signal.SIGUSR1)
    code, said = job.ended()
    assert (code, said[-2:]) == (130, ["told", "scontrol requeue 4711"])


def test_cancelled_job_stops_and_stays_cancelled(request_: Request, tmp_path: Path) -> None:
    job = Job(write(request_, Allocation(), None), tmp_path, None)
    job.tell(signal.SIGTERM)
    code, said = job.ended()
    assert (code, said[-1]) == (130, "told")


def test_several_nodes_make_a_cluster_that_the_driver_joins(
    request_: Request, tmp_path: Path
) -> None:
    batch = write(request_, Allocation(nodes=2, cpus=8, gpus=0), None)
    code, said = Job(batch, tmp_path, 1, num_sruns=2).ended()
    assert code == 1
    head, workers = sorted(line for line in said if line.startswith("srun"))
    assert "--nodelist=one" in head
    assert "start --head --block --port=24711 --num-cpus=8 --num-gpus=0" in head
    assert "--exclude=one" in workers
    assert "--nodes=1 --ntasks=1 --ntasks-per-node=1" in workers
    assert "start --block --address=one:24711 --num-cpus=8 --num-gpus=0" in workers
    (driver,) = [line for line in said if line.startswith("driver")]
    assert driver.endswith("--address one:24711")


def test_file_that_is_there_is_not_written_over(request_: Request) -> None:
    batch = write(request_, Allocation(), None)
    batch.write_text("mine")
    with pytest.raises(RequestError, match="expected a file that is not there yet"):
        write(request_, Allocation(), None)
    assert batch.read_text() == "mine"


@pytest.mark.parametrize("time", ["", "soon", "1h", "10:00:00\n#SBATCH --nodes=99"])
def test_time_that_slurm_does_not_take_is_refused(time: str) -> None:
    with pytest.raises(RequestError, match="--time: expected minutes"):
        Allocation(time=time)
