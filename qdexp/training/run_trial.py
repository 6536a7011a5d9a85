"""The training of one trial: the only function that a worker calls.

`run_trial` is a thin shell: it opens files, reports, saves and stops. What is computed is in
functions of a state (`train_step`, `curve_point`, `final_measurement`).
"""

import contextlib
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qdexp.data.latent_cache import open_latents
from qdexp.diffusion.schedule import noise_schedule
from qdexp.errors import DivergedError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name
from qdexp.results.outcome import Failure, Outcome, Progress
from qdexp.training import checkpoint, measurement, memory
from qdexp.training.record import Record
from qdexp.training.train_step import Course, train_step
from qdexp.training.training_state import TrainingState, initial_state

Reports = Generator[Progress | Outcome, None, None]
"""Progress, and the outcome last."""

REPORT_SECONDS = 1.0
"""A report is due after this long, measurements or not, so that the driver sees life."""


@dataclass(kw_only=True)
class _Attempt:
    """One attempt at a trial: what it works with, and what it changes (`state`, `record`)."""

    trial: Trial
    folder: Path
    course: Course
    held_out: measurement.HeldOut
    state: TrainingState
    record: Record
    resumed_from_step: int | None = None
    saved_step: int | None = None
    reported_at: float = 0.0

    @property
    def num_steps(self) -> int:
        return self.trial.configuration.num_steps


def run_trial(trial: Trial, workspace: Workspace) -> Reports:
    """Trains and measures a trial: yields its progress, then its outcome.

    It goes on from the newest whole checkpoint in the workspace's folder, or else from
    `start_from`, or else from the start, with the same numbers bit for bit. Closing it saves a
    checkpoint of the last whole step.

    Raises:
        CheckpointError: A checkpoint belongs to another trajectory, or lies beyond the end.
        DataError: The latents are not there, or not whole.
        OSError: A checkpoint could not be written.
    """
    attempt = _open(trial, workspace)
    try:
        yield from _train(attempt)
    except GeneratorExit:
        # Best effort: without it the next attempt repeats the steps since the last checkpoint.
        with contextlib.suppress(OSError):
            _save(attempt)
        raise
    except DivergedError as error:
        yield _diverged(attempt, error)
    else:
        _save(attempt, final=True)
        yield _completed(attempt)


def _open(trial: Trial, workspace: Workspace) -> _Attempt:
    config = trial.configuration
    device = _device(config.training.num_threads)
    memory.reset_peak(device)
    latents = open_latents(workspace.latents)
    schedule = noise_schedule(
        config.diffusion.beta_schedule, config.diffusion.num_train_timesteps
    ).to(device)
    attempt = _Attempt(
        trial=trial,
        folder=workspace.folder,
        course=Course(
            config=config, seed=trial.seed, schedule=schedule, clips=latents.train, device=device
        ),
        held_out=measurement.held_out(config, latents, schedule, device),
        state=initial_state(config, trial.seed, device),
        record=Record(),
    )
    _resume(attempt, workspace.start_from)
    return attempt


def _device(num_threads: int) -> torch.device:
    """Returns where to compute, made to repeat its numbers."""
    torch.set_num_threads(num_threads)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Where an operation has no such algorithm a warning says so: better than no result.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.cuda.reset_peak_memory_stats()
    return torch.device("cuda")


def _resume(attempt: _Attempt, start_from: Path | None) -> None:
    """Goes on from the newest whole checkpoint that there is, if any."""
    candidates = checkpoint.newest_first(attempt.folder) + ([start_from] if start_from else [])
    found, warnings = checkpoint.first_whole(candidates)
    if found is not None:
        checkpoint.check_belongs(
            found, trajectory_id=attempt.trial.trajectory_id, num_steps=attempt.num_steps
        )
        attempt.state.load(found.state)
        attempt.record = Record.from_plain(found.record)
        attempt.resumed_from_step = found.step
        if _curve_fields(found.configuration) != _curve_fields(_fields(attempt.trial)):
            attempt.record.drop_evaluation()
            warnings = [*warnings, "held-out curves begin where another trial was continued"]
    attempt.record.warnings += warnings


def _train(attempt: _Attempt) -> Iterator[Progress]:
    """Trains to the end; every yield is between two steps, where the state can be saved."""
    config = attempt.trial.configuration
    yield _progress(attempt, _measure_curve(attempt))
    while attempt.state.step < attempt.num_steps:
        began = time.perf_counter()
        measured = train_step(attempt.state, attempt.course)
        attempt.record.add_step(measured, time.perf_counter() - began)
        step = attempt.state.step
        reported: dict[str, float] = {}
        if step % config.training.log_every_steps == 0:
            reported |= attempt.record.close_interval(step)
        reported |= _measure_curve(attempt)
        if step % config.training.checkpoint_every_steps == 0:
            _save(attempt)
        if reported or time.monotonic() - attempt.reported_at > REPORT_SECONDS:
            yield _progress(attempt, reported)


def _measure_curve(attempt: _Attempt) -> dict[str, float]:
    """Measures the subset where a curve step is reached; at most once for each."""
    step, record = attempt.state.step, attempt.record
    if step not in attempt.trial.configuration.evaluation.curve_steps:
        return {}
    if any(point.step == step for point in record.curve):
        return {}
    return _add_curve_point(attempt)


def _add_curve_point(attempt: _Attempt) -> dict[str, float]:
    began = time.perf_counter()
    record = attempt.record
    point = measurement.curve_point(attempt.state.model, attempt.held_out, attempt.state.step)
    record.curve.append(point)
    measured = measurement.curve_scalars(point, attempt.held_out)
    record.add(attempt.state.step, measured)
    record.eval_seconds += time.perf_counter() - began
    return measured


def _completed(attempt: _Attempt) -> Outcome:
    """Measures everything. The checkpoint was saved before: a longer training has none of this."""
    record = attempt.record
    if all(point.step != attempt.state.step for point in record.curve):
        _add_curve_point(attempt)
    if record.steps_in_interval:
        record.close_interval(attempt.state.step)
    began = time.perf_counter()
    final = measurement.final_measurement(attempt.state.model, attempt.held_out)
    record.eval_seconds += time.perf_counter() - began
    return Outcome(
        trial_id=attempt.trial.trial_id,
        status="completed",
        step=attempt.state.step,
        measurements=_latest_of_training(record) | final.scalars | _cost(attempt),
        history=record.series(),
        arrays=final.arrays | measurement.curve_arrays(record.curve),
        warnings=(*record.warnings, *final.warnings),
        provenance=_provenance(attempt),
    )


def _diverged(attempt: _Attempt, error: DivergedError) -> Outcome:
    record = attempt.record
    return Outcome(
        trial_id=attempt.trial.trial_id,
        status="diverged",
        step=attempt.state.step,
        measurements=_latest_of_training(record) | _cost(attempt),
        history=record.series(),
        arrays=measurement.curve_arrays(record.curve),
        warnings=tuple(record.warnings),
        failure=Failure(reason=str(error), step=error.step),
        provenance=_provenance(attempt),
    )


def _latest_of_training(record: Record) -> dict[str, float]:
    return {
        name: entries[-1][1]
        for name, entries in record.history.items()
        if name.startswith("train.")
    }


def _cost(attempt: _Attempt) -> dict[str, float]:
    return measurement.cost(attempt.state.model, attempt.record, attempt.course.device)


def _provenance(attempt: _Attempt) -> dict[str, Any]:
    device = attempt.course.device
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "num_threads": torch.get_num_threads(),
        "resumed_from_step": attempt.resumed_from_step,
    }


def _save(attempt: _Attempt, *, final: bool = False) -> None:
    step = attempt.state.step
    if attempt.saved_step == step and not final:
        return
    name = FINAL_CHECKPOINT if final else checkpoint_name(step)
    checkpoint.save(
        checkpoint.Checkpoint(
            trajectory_id=attempt.trial.trajectory_id,
            configuration=_fields(attempt.trial),
            step=step,
            state=attempt.state.tensors(),
            record=attempt.record.to_plain(),
        ),
        attempt.folder / name,
    )
    attempt.saved_step = step


def _progress(attempt: _Attempt, measured: dict[str, float]) -> Progress:
    attempt.reported_at = time.monotonic()
    return Progress(step=attempt.state.step, num_steps=attempt.num_steps, measurements=measured)


def _fields(trial: Trial) -> dict[str, Any]:
    return trial.configuration.fields()


def _curve_fields(fields: dict[str, Any]) -> list[Any]:
    """Returns what decides at which points and on what held-out curves are measured."""
    names = ("curve_steps", "curve_clips", "curve_levels", "num_levels")
    return [fields[f"evaluation.{name}"] for name in names]
