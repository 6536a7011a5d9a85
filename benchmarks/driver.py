"""What the driver itself costs: to plan, to run trials that take no time, to find nothing to do.

    .venv/bin/python benchmarks/driver.py

Plans 10,000 trials over ledgers that know nothing, all or former ones of them; runs 500 and 2,000
instant trials through the inline executor without tracking; runs a finished experiment of 9 trials
again, with its report. Writes benchmarks/results/driver.md.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from qdexp.backends.inline import InlineExecutor
from qdexp.cli.display import PlainDisplay
from qdexp.config.data_config import DataConfig
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import conduct
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.planning import plan_of
from qdexp.experiment.reader import Overrides, read_spec
from qdexp.experiment.spec import Spec
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome
from qdexp.results.provenance import driver_provenance
from qdexp.results.recorder import Recorder

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "driver.md"

SPEC = """\
name: driver
question: What does the driver cost?
preset: tiny
trainable: instant_trial:ends_at_once
factors:
  model.num_embeddings: {{levels: {levels}, baseline: 64}}
seeds: {seeds}
"""

FEW_STEPS = (
    "training.max_steps=4", "evaluation.num_clips=4", "evaluation.codebook_tokens=1024",
    "evaluation.shown_clips=0", "model.hidden_dim=16",
)  # fmt: skip
"""What makes the 9 trials of experiments/codebook_size.yaml short: they run once, uncounted."""


class _NoData:
    """A dataset that needs no clips."""

    def fingerprint(self, config: DataConfig) -> str:
        return f"none of seed {config.seed}"

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        return cache / str(config.seed)


def spec_of(folder: Path, *, conditions: int, seeds: int, data_seed: int = 0) -> Spec:
    """Returns a spec of so many trials."""
    path = folder / "spec.yaml"
    path.write_text(SPEC.format(levels=list(range(64, 64 + conditions)), seeds=seeds))
    return read_spec(path, Overrides(fields={"data.seed": data_seed}, max_trials=10_000))


Times = tuple[float, float]
"""Of the clock, and of the CPU: where others use the machine, the second says what a task costs."""


def seconds_to_plan(folder: Path, conditions: int, seeds: int) -> dict[str, Times]:
    """Returns the best of three times to read the spec and plan it, by what the ledger knows."""
    runs = folder / "runs"
    found = {"nothing": _best_of(3, lambda: _plan(folder, runs, conditions, seeds))}
    spec = spec_of(folder, conditions=conditions, seeds=seeds)
    trials = spec.trials([_NoData().fingerprint(DataConfig())] * conditions)
    with Recorder(runs) as recorder:
        recorder.record_plan((spec.file, spec.text, spec.definition()), trials)
        for trial, _ in trials:
            recorder.record_outcome(
                Outcome(trial_id=trial.trial_id, status="completed", step=trial.seed)
            )
    found["all of them"] = _best_of(3, lambda: _plan(folder, runs, conditions, seeds))
    found["former ones, of other data"] = _best_of(
        3, lambda: _plan(folder, runs, conditions, seeds, data_seed=1)
    )
    return found


def _plan(folder: Path, runs: Path, conditions: int, seeds: int, *, data_seed: int = 0) -> Times:
    began, cpu = time.perf_counter(), time.process_time()
    spec = spec_of(folder, conditions=conditions, seeds=seeds, data_seed=data_seed)
    with Ledger(runs) as ledger:
        plan = plan_of(spec, ledger, _NoData())
    assert len(plan.trials) == conditions * seeds
    return time.perf_counter() - began, time.process_time() - cpu


def _best_of(number: int, measure: Callable[[], Times]) -> Times:
    return min(measure() for _ in range(number))


def milliseconds_per_trial(folder: Path, num_trials: int) -> tuple[Times, float]:
    """Returns the driver's time for each instant trial, and the last quarter's over the first's."""
    spec = spec_of(folder, conditions=num_trials // 20, seeds=20)
    runs = folder / "runs"
    outside = Collaborators(
        dataset=_NoData(),
        executor=InlineExecutor(),
        tracker=NoTracker(),
        display=PlainDisplay(),
        draw=lambda _outcome, _folder: (),
        provenance=driver_provenance(),
    )
    with Path(os.devnull).open("w") as silence, redirect_stderr(silence):
        began, cpu = time.perf_counter(), time.process_time()
        done = conduct(spec, runs, outside)
        whole = (time.perf_counter() - began, time.process_time() - cpu)
    assert (done.num_run, done.num_incomplete) == (num_trials, 0)
    with Ledger(runs) as ledger:
        ends = [at for (at,) in ledger.rows("SELECT recorded_at FROM outcomes ORDER BY 1")]
    quarter = num_trials // 4
    growth = (ends[-1] - ends[-1 - quarter]) / (ends[quarter] - ends[0])
    return (1000 * whole[0] / num_trials, 1000 * whole[1] / num_trials), growth


def seconds_of_second_runs(folder: Path) -> tuple[float, float]:
    """Returns the median time of a finished experiment's run, and of one that draws its report."""
    _run(folder)
    again = [_run(folder) for _ in range(5)]
    drawn: list[float] = []
    for _ in range(3):
        (folder / "runs" / "reports" / "codebook_size" / ".written.json").unlink()
        drawn.append(_run(folder))
    return statistics.median(again), statistics.median(drawn)


def _run(folder: Path) -> float:
    settings = [word for each in FEW_STEPS for word in ("--set", each)]
    command = [
        *(sys.executable, "-m", "qdexp", "run", "experiments/codebook_size.yaml"),
        *("--runs", str(folder / "runs"), "--executor", "inline", "--no-tracking", *settings),
    ]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table whose columns but the first are numbers."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))


def main() -> None:
    """Measures everything and writes the tables."""
    sys.path.insert(0, str(Path(__file__).parent))
    plans: list[list[str]] = []
    for conditions, seeds in ((100, 100), (1000, 10)):
        with tempfile.TemporaryDirectory() as name:
            found = seconds_to_plan(Path(name), conditions, seeds)
        for known, (seconds, cpu) in found.items():
            ratio = cpu / found["nothing"][1]
            plans.append(
                [f"{conditions} x {seeds}", known, f"{seconds:.2f}", f"{cpu:.2f}", f"{ratio:.1f}"]
            )
    instant: list[list[str]] = []
    for number in (500, 2000):
        with tempfile.TemporaryDirectory() as name:
            (milliseconds, cpu), growth = milliseconds_per_trial(Path(name), number)
        instant.append([str(number), f"{milliseconds:.2f}", f"{cpu:.2f}", f"{growth:.2f}"])
    with tempfile.TemporaryDirectory() as name:
        again, drawn = seconds_of_second_runs(Path(name))
    RESULT.write_text(
        "# What the driver costs\n\n"
        f"Written by `benchmarks/driver.py`; {os.cpu_count()} CPUs, {platform.machine()}, Python "
        f"{platform.python_version()}, load average {os.getloadavg()[1]:.1f} at the end.\n\n"
        "10,000 trials planned, from the spec's text on; best of three:\n\n"
        + table(("conditions x seeds", "the ledger knows", "s", "CPU s", "ratio of CPU s"), plans)
        + "\n\nInstant trials, inline, untracked:\n\n"
        + table(("trials", "ms a trial", "CPU ms a trial", "last quarter / first"), instant)
        + "\n\nA finished experiment of 9 trials run again, median, whole processes:\n\n"
        + table(
            ("its report is", "seconds", "ratio"),
            [
                ["current", f"{again:.2f}", "1.0"],
                ["made anew", f"{drawn:.2f}", f"{drawn / again:.1f}"],
            ],
        )
        + "\n"
    )
    sys.stdout.write(RESULT.read_text())


if __name__ == "__main__":
    main()
