"""What do the ledger, the plan and MLflow cost beside the trainings, when they run through Ray?

    .venv/bin/python benchmarks/ray_overhead.py

Runs 9 trials of about one second through `qdexp run` in a runs folder that was used before, and
the same trainings through a bare Ray Tune script with `reuse_actors` and neither ledger nor
tracking, in turns. Each time is a whole process's, from its start to its end. The table, with the
ratio of medians, goes to benchmarks/results/ray_overhead.md.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
NUM_SEEDS = 3
LIMIT = 1.25

SPEC = """\
name: overhead
question: What does it cost to write things down?
preset: tiny
set: {training.max_steps: 6}
factors:
  training.quantization_weight: {levels: [0.05, 0.1, 0.2], baseline: 0.1}
seeds: [SEEDS]
trainable: one_second:train
resources: {cpus: 1, gpus: 0}
"""

TRAINING = '''\
"""A training of one second: matrix products, a report after each tenth."""

import time

import torch

from qdexp.results.outcome import Outcome, Progress


def train(trial, workspace):
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(trial.seed)
    x = torch.randn(64, 64, generator=generator)
    began = time.perf_counter()
    for step in range(10):
        while time.perf_counter() - began < (step + 1) / 10:
            x = torch.tanh(x @ x)
        yield Progress(step=step, num_steps=10, measurements={"train.loss": float(x.mean())})
    yield Outcome(
        trial_id=trial.trial_id, status="completed", step=10,
        measurements={"eval.denoising_loss": 1.0},
    )
'''

BARE = '''\
"""The same trainings by Ray Tune alone."""

import os
import sys
from types import SimpleNamespace

os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}

import ray
from ray import tune

from one_second import train


class Training(tune.Trainable):
    def setup(self, config):
        trial = SimpleNamespace(seed=config["seed"], trial_id=str(config["seed"]))
        self.reports = train(trial, None)

    def reset_config(self, config):
        self.setup(config)
        return True

    def step(self):
        report = next(self.reports)
        found = {"progress": report.step, "done": hasattr(report, "status")}
        return found | dict(report.measurements)


ray.init(address="local", include_dashboard=False, log_to_driver=False)
tune.Tuner(
    tune.with_resources(Training, tune.PlacementGroupFactory([{"CPU": 1}])),
    param_space={"seed": tune.grid_search(list(range(9)))},
    tune_config=tune.TuneConfig(reuse_actors=True),
    run_config=tune.RunConfig(
        storage_path=sys.argv[1], verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
ray.shutdown()
'''

RESULT = Path(__file__).parent / "results" / "ray_overhead.md"


def seconds(command: list[str], folder: Path) -> float:
    """Returns how long a process took that must succeed."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr)
    return taken


def ours(folder: Path, number: int) -> float:
    """Runs 9 new trials: seeds that no round before had."""
    seeds = ", ".join(str(number * NUM_SEEDS + each) for each in range(NUM_SEEDS))
    (folder / "overhead.yaml").write_text(SPEC.replace("SEEDS", seeds))
    return seconds(
        [sys.executable, "-m", "qdexp", "run", "overhead.yaml", "--runs", "runs", "--no-report"],
        folder,
    )


def main() -> None:
    """Measures both in turns and writes the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one_second.py").write_text(TRAINING)
        (folder / "bare.py").write_text(BARE)
        bare = [sys.executable, "bare.py", str(folder / "bare")]
        ours(folder, 0)  # from here on the folder has been used before
        seconds(bare, folder)
        load = os.getloadavg()[0]
        rows = [(seconds(bare, folder), ours(folder, number + 1)) for number in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    ratio = medians[1] / medians[0]
    table = "".join(
        f"| {number + 1} | {bare:.1f} | {own:.1f} | {own / bare:.2f} |\n"
        for number, (bare, own) in enumerate(rows)
    )
    RESULT.write_text(
        "# Cost of the driver around 9 one-second trials through Ray\n\n"
        "Written by `benchmarks/ray_overhead.py`: whole processes in seconds, in turns; bare is "
        "Ray Tune with\n`reuse_actors` and nothing else, qdexp writes ledger and MLflow, without a "
        f"report. {platform.machine()}, {os.cpu_count()} CPUs,\nPython "
        f"{platform.python_version()}; load average before it {load:.1f}.\n"
        f"To hold: a ratio of medians of at most {LIMIT}.\n\n"
        "| round | bare | qdexp | ratio |\n| ---: | ---: | ---: | ---: |\n"
        + table
        + f"| median | {medians[0]:.1f} | {medians[1]:.1f} | {ratio:.2f} |\n"
    )
    sys.stdout.write(RESULT.read_text() + json.dumps({"ratio": ratio}) + "\n")


if __name__ == "__main__":
    main()
