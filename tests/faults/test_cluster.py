"""A cluster of two nodes runs an experiment; a node that is killed in the middle loses nothing."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from qdexp.execution.dispatch import MARKS
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPEC = """\
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
  training.checkpoint_every_steps: 2
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
trainable: own_training:train
"""

OWN_TRAINING = '''\
"""Our training; it says where it ran, and where it is told to, it waits for ever in the middle."""

import os
import time
from dataclasses import replace
from pathlib import Path

import qdexp
from qdexp.results.outcome import Outcome
from qdexp.training.run_trial import run_trial


def train(trial, workspace):
    hold = os.environ.get("HOLD")
    for report in run_trial(trial, workspace):
        if isinstance(report, Outcome):
            facts = {"node": os.environ.get("NODE"), "code": [__file__, qdexp.__file__]}
            report = replace(report, provenance=report.provenance | facts)
        yield report
        if hold and (workspace.folder / "checkpoint_step_4.pt").exists():
            Path(hold).write_text(trial.trial_id)
            while True:
                time.sleep(1)
'''

PROMPT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
}
"""By default a head needs half a minute to believe that a node is lost."""


def can_hide_folders() -> bool:
    if not (unshare := shutil.which("unshare")):
        return False
    done = subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0


def port_that_is_free() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raylet_of(process: "subprocess.Popen[bytes]") -> int | None:
    """Returns the process id of the raylet that `ray start --block` watches over."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rpartition(")")[2].split()
            name = (status.parent / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if int(words[1]) == process.pid and name.endswith(b"/raylet"):
            return int(status.parent.name)
    return None


@contextmanager
def node(
    arguments: list[str], environment: dict[str, str], hidden: Path | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Has a node of one CPU; its processes are gone afterwards."""
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1",
        "--object-store-memory=100000000", "--disable-usage-stats", *arguments,
    ]  # fmt: skip
    if hidden is not None:
        script = 'mount -t tmpfs none "$0" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, str(hidden), *command]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    try:
        while b"runtime started" not in process.stdout.readline():
            assert process.poll() is None
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The first node, which wants a token; its address, and what a driver of it needs."""
    port = port_that_is_free()
    environment = (
        os.environ
        | PROMPT
        | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "7" * 64,
            "NODE": "first",
            "QDEXP_SCRATCH": str(tmp_path_factory.mktemp("first")),
        }
    )
    with node(["--head", f"--port={port}", "--include-dashboard=false"], environment):
        yield f"127.0.0.1:{port}", environment


@pytest.fixture
def second(head: tuple[str, dict[str, str]], tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """The second node, which does not see the folder `private`, and holds a trial there is."""
    address, environment = head
    own = {
        "NODE": "second",
        "QDEXP_SCRATCH": str(tmp_path / "scratch"),
        "HOLD": str(tmp_path / "held"),
    }
    private = tmp_path / "private"
    private.mkdir()
    hidden = private if can_hide_folders() else None
    with node([f"--address={address}"], environment | own, hidden) as process:
        yield process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = start(folder, folder / "runs", ["--executor", "inline", "--no-report"], dict(os.environ))
    assert done.wait() == 0
    return outcomes(folder / "runs")


def start(
    folder: Path, runs: Path, options: list[str], environment: Mapping[str, str]
) -> "subprocess.Popen[str]":
    (folder / "sizes.yaml").write_text(SPEC)
    (folder / "own_training.py").write_text(OWN_TRAINING)
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "qdexp", "run", "sizes.yaml", "--runs", str(runs), *options],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            text=True,
            cwd=folder,
            env=environment,
        )


def outcomes(runs: Path) -> dict[str, Outcome]:
    with Ledger(runs) as ledger:
        found = {
            m.trial_id: (m.outcome, ledger.history(m.trial_id), ledger.arrays(m.trial_id))
            for m in ledger.members("sizes")
        }
    return {
        trial_id: replace(outcome, history=history, arrays=arrays)
        for trial_id, (outcome, history, arrays) in found.items()
        if outcome
    }


def numbers(outcome: Outcome) -> dict[str, object]:
    every = {**outcome.measurements, **outcome.history, **outcome.arrays}
    return {name: value for name, value in every.items() if not name.startswith("cost.")}


def num_outcomes(runs: Path) -> int:
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as connection:
        return connection.execute("SELECT count(*) FROM outcomes").fetchone()[0]


def kill_when_it_holds_a_trial(
    second: "subprocess.Popen[bytes]", driver: "subprocess.Popen[str]", held: Path
) -> str:
    """Kills the second node's raylet in the middle of a trial; returns the trial's id."""
    while not held.exists() or not held.read_text():
        assert driver.poll() is None, (held.parent / "said").read_text()
        time.sleep(0.05)
    raylet = raylet_of(second)
    assert raylet is not None
    os.kill(raylet, signal.SIGKILL)
    return held.read_text()


@pytest.mark.parametrize("way", ["shared", "storage"])
def test_trials_of_a_killed_node_go_on_elsewhere_with_the_same_numbers(
    head: tuple[str, dict[str, str]],
    second: "subprocess.Popen[bytes]",
    undisturbed: dict[str, Outcome],
    tmp_path: Path,
    way: str,
) -> None:
    address, environment = head
    options = ["--address", address, "--no-report"]
    runs = tmp_path / "runs"
    if way == "storage":
        runs = tmp_path / "private" / "runs"
        options += ["--storage", f"file://{tmp_path}/storage"]
    driver = start(tmp_path, runs, options, environment)
    lost = kill_when_it_holds_a_trial(second, driver, tmp_path / "held")
    assert driver.wait() == 0, (tmp_path / "said").read_text()
    found = outcomes(runs)
    assert num_outcomes(runs) == len(found) == 4
    assert {each.provenance["node"] for each in found.values()} == {"first"}
    assert found[lost].provenance["resumed_from_step"] == 4
    assert {key: numbers(each) for key, each in found.items()} == {
        key: numbers(each) for key, each in undisturbed.items()
    }
    shipped = "runtime_resources"
    assert all(shipped in file for each in found.values() for file in each.provenance["code"])
    assert list((runs / "trials" / lost).glob("*.pt"))
    assert not list((runs / MARKS).glob("*"))
    assert not list((tmp_path / "storage").rglob("*.pt"))
    assert free_cpus(address, environment) == 1  # an actor that stayed would hold it


@pytest.mark.usefixtures("second")
@pytest.mark.skipif(not can_hide_folders(), reason="needs the right to mount (unshare --mount)")
def test_runs_folder_that_a_node_does_not_see_is_refused_before_anything_is_written(
    head: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, environment = head
    runs = tmp_path / "private" / "runs"
    driver = start(tmp_path, runs, ["--address", address], environment)
    assert driver.wait() == 2
    said = (tmp_path / "said").read_text()
    assert f"not see {runs}" in said
    assert "--storage URI" in said
    assert not runs.exists()


def free_cpus(address: str, environment: Mapping[str, str]) -> float:
    """Returns the CPUs that nobody holds, once that is all of them, or after a while."""
    code = (
        "import ray, sys, time; ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "for _ in range(200):\n"
        "    free = ray.available_resources().get('CPU', 0)\n"
        "    if free == ray.cluster_resources()['CPU']: break\n"
        "    time.sleep(0.1)\n"
        "print(free)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=environment,
    )
    return float(done.stdout)
