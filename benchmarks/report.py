"""What a report of a large experiment costs: 10,000 trials x 1,000 points x 10 metrics.

    .venv/bin/python benchmarks/report.py [--folder DIR]

Generates ledgers of two shapes as the recorder writes them, makes each one's report by `qdexp
report` in a process of its own, and writes benchmarks/results/report.md. A ledger is about 1 GB; it
lies in the folder for temporary files, or in DIR, and is deleted afterwards.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qdexp.experiment.reader import Overrides, read_spec
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Array, Failure, Outcome, Series
from qdexp.results.recorder import Recorder
from qdexp.results.rows import add_outcome

RESULT = Path(__file__).parent / "results" / "report.md"
NAME = "large"
SPEC = """\
name: {name}
question: What do two factors do, over very many trials?
preset: tiny
factors:
  model.num_embeddings: {{levels: {codes}, baseline: 256}}
  training.quantization_weight: {{levels: {weights}, baseline: 0.1}}
seeds: {seeds}
metrics:
  primary: eval.denoising_loss
  smallest_effect: 0.5%
"""

HISTORIES = (
    "eval.curve_denoising_loss", "eval.curve_unquantized_loss", "train.codebook_usage",
    "train.denoising_loss", "train.gradient_norm", "train.learning_rate", "train.loss",
    "train.perplexity", "train.vq_loss", "train.commitment_loss",
)  # fmt: skip
NUM_POINTS = 1000
MOST_SECONDS, MOST_BYTES, MOST_PAGE_BYTES = 30, 2 * 2**30, 10_000_000
LOG_SNR = np.linspace(-4, 5, 16)
NUM_CLIPS = 24
BATCH = 500
"""Outcomes of one transaction: a real run's are one each, and it waits for the disk each time."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How 10,000 trials are spread: levels of the two factors, and seeds."""

    codes: int
    weights: int
    seeds: int

    def __str__(self) -> str:
        """Returns ``20 x 10 levels, 50 seeds``."""
        return f"{self.codes} x {self.weights} levels, {self.seeds} seeds"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


SHAPES = (Shape(codes=10, weights=10, seeds=100), Shape(codes=50, weights=20, seeds=10))


def generate(runs: Path, shape: Shape) -> None:
    """Writes a ledger of one experiment in which one trial in 250 diverged."""
    spec = _spec(runs.parent, shape)
    trials = spec.trials(["made up"] * (shape.codes * shape.weights))
    with Recorder(runs) as recorder:
        recorder.record_plan((spec.file, spec.text, spec.definition()), trials)
        for start in range(0, len(trials), BATCH):
            with recorder.transaction() as write:
                for number, (trial, _) in enumerate(trials[start : start + BATCH], start):
                    write.execute(
                        "INSERT INTO starts VALUES (?, ?, NULL)", (trial.trial_id, 1.7e9 + number)
                    )
                    add_outcome(write, _outcome(trial, number))


def _spec(folder: Path, shape: Shape) -> Spec:
    path = folder / "large.yaml"
    weights = [round(0.1 * 2 ** (k / 4), 4) for k in range(shape.weights)]
    codes = [256 + 64 * k for k in range(shape.codes)]
    path.write_text(SPEC.format(name=NAME, codes=codes, weights=weights, seeds=shape.seeds))
    return read_spec(path, Overrides(fields={}, max_trials=20_000))


def _outcome(trial: Trial, number: int) -> Outcome:
    codes = trial.ours.model.num_embeddings
    weight = trial.ours.training.quantization_weight
    effect = 1 - 0.004 * np.log2(codes / 256) + 0.01 * np.log(weight / 0.1) ** 2
    shared = np.random.default_rng([7, trial.seed]).normal(0, 0.02)
    draw = np.random.default_rng([11, number])
    scale = effect * np.exp(shared + draw.normal(0, 0.003))
    did_diverge = number % 250 == 249
    provenance = _provenance(number)
    if did_diverge:
        return Outcome(
            trial_id=trial.trial_id,
            status="diverged",
            step=200,
            history=dict(_histories(scale, codes, draw, NUM_POINTS // 5)),
            failure=Failure(reason="loss is nan at step 200", step=200),
            provenance=provenance,
        )
    arrays = _arrays(scale, draw)
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=NUM_POINTS,
        measurements=_measurements(float(np.mean(arrays["eval.clip_errors"].values)), codes, draw),
        history=dict(_histories(scale, codes, draw, NUM_POINTS)),
        arrays=arrays,
        provenance=provenance,
    )


def _histories(
    scale: float, codes: int, draw: np.random.Generator, num_points: int
) -> Iterator[tuple[str, Series]]:
    steps = np.arange(1, num_points + 1)
    shape = scale * (0.4 + 0.8 * np.exp(-steps / 200))
    for name in HISTORIES:
        level = 0.3 * codes if "perplexity" in name else 1.0
        values = level * shape * (1 + draw.normal(0, 0.02, num_points))
        yield name, Series(steps=tuple(steps.tolist()), values=tuple(values.tolist()))


def _measurements(loss: float, codes: int, draw: np.random.Generator) -> dict[str, float]:
    noise = 1 + 0.02 * draw.normal()
    return {
        "eval.denoising_loss": loss,
        "eval.unquantized_loss": 0.8 * loss,
        "eval.pixel_error": 0.02 * loss,
        "eval.codebook_usage": min(1.0, 900 / codes) * (1 - 0.02 * draw.random()),
        "eval.perplexity": 0.4 * codes**0.9 * noise,
        "train.loss": 1.1 * loss,
        "train.denoising_loss": loss,
        "cost.parameters": 3.0e5 + 32 * codes,
        "cost.step_seconds": (0.08 + 1.0e-5 * codes) * noise,
        "cost.train_seconds": 200 * (0.08 + 1.0e-5 * codes) * noise,
        "cost.peak_memory_bytes": 4.1e8 + 1000 * codes,
    }


def _arrays(scale: float, draw: np.random.Generator) -> dict[str, Array]:
    by_level = 1 / (1 + np.exp(0.8 * LOG_SNR)) + 0.05
    by_clip = np.exp(np.random.default_rng(13).normal(0, 0.2, NUM_CLIPS))
    errors = scale * by_level[:, None] * by_clip * np.exp(draw.normal(0, 0.003, (16, NUM_CLIPS)))
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    timesteps = np.abs(alpha_bar - 1 / (1 + np.exp(-LOG_SNR[:, None]))).argmin(axis=1)
    numbers = {
        "eval.clip_errors": errors,
        "eval.quantized_clip_errors": errors,
        "eval.unquantized_clip_errors": 0.8 * errors,
        "eval.pixel_errors": 0.02 * errors,
        "eval.level_log_snr": LOG_SNR,
        "eval.level_timesteps": timesteps,
        "eval.clip_sources": np.arange(NUM_CLIPS),
        "eval.code_counts": draw.integers(0, 200, 1024),
    }
    return {
        name: Array(shape=values.shape, values=tuple(values.astype(float).ravel().tolist()))
        for name, values in numbers.items()
    }


def _provenance(number: int) -> dict[str, object]:
    began = 1.7e9 + 60 * number
    return {
        "commit": "0" * 40,
        "dirty": False,
        "versions": {"python": "3.11.7", "torch": "2.10.0"},
        "hardware": {"cpu": "made up", "cores": 2},
        "host": f"node-{number % 4}",
        "device": "cpu",
        "num_threads": 1,
        "pid": number,
        "session": f"session {number // 1000}",
        "started_at": began,
        "finished_at": began + 50,
    }


def cost_of(command: Sequence[str]) -> Cost:
    """Runs a command and returns what it took.

    Raises:
        RuntimeError: It failed.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Cost(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * 1024,
    )


def measured(shape: Shape, folder: Path) -> list[str]:
    """Returns the row of a shape: what its report took, and how large page and ledger are."""
    runs = folder / "runs"
    generate(runs, shape)
    cost = cost_of([sys.executable, "-m", "qdexp", "report", NAME, "--runs", str(runs)])
    page = (runs / "reports" / NAME / "report.html").stat().st_size
    ledger = (runs / "ledger.sqlite").stat().st_size
    holds = cost.seconds <= MOST_SECONDS and cost.peak_bytes <= MOST_BYTES
    return [
        str(shape),
        f"{ledger / 1e9:.2f}",
        f"{cost.seconds:.1f}",
        f"{cost.cpu_seconds:.1f}",
        f"{cost.peak_bytes / 2**30:.2f}",
        f"{page / 1e6:.2f}",
        "yes" if holds and page < MOST_PAGE_BYTES else "no",
    ]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table whose columns but the first are numbers."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))


def main() -> None:
    """Measures both shapes and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the ledgers are written for a while")
    folder = parser.parse_args().folder
    rows: list[list[str]] = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            rows.append(measured(shape, Path(name)))
    header = ("10,000 trials", "ledger GB", "s", "CPU s", "peak GiB", "page MB", "within limits")
    RESULT.write_text(
        "# What the report of a large experiment costs\n\n"
        f"Written by `benchmarks/report.py`; {os.cpu_count()} CPUs, {platform.machine()}, Python "
        f"{platform.python_version()}, load average {os.getloadavg()[1]:.1f} at the end.\n\n"
        f"`qdexp report` of 10,000 trials with histories of {NUM_POINTS:,} points x "
        f"{len(HISTORIES)} metrics, errors of {NUM_CLIPS} clips at 16 noise levels, one trial in "
        f"250 diverged, whole process. Limits: {MOST_SECONDS} s, {MOST_BYTES / 2**30:.0f} GiB, "
        f"{MOST_PAGE_BYTES / 1e6:.0f} MB.\n\n" + table(header, rows) + "\n"
    )
    sys.stdout.write(RESULT.read_text())


if __name__ == "__main__":
    main()
