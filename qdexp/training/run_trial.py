"""The training of one trial: the only function that a worker calls.

`run_trial` is a thin shell: it opens files, reports, saves and stops. What is computed is in
functions of a state (`train_step`, `curve_point`, `final_measurement`).
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from qdexp.data.latent_cache import open_latents
from qdexp.data.latent_space import LatentSpace
from qdexp.errors import DivergedError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name
from qdexp.results.outcome import Failure, Outcome, Progress
from qdexp.training import checkpoint, measurement, memory
from qdexp.training.course import Course, make_course
from qdexp.training.opening import (
    check_ranks,
    cluster_codebook,
    computing_device,
    initial_state,
)
from qdexp.training.parallel import current_ranks
from qdexp.training.record import Record
from qdexp.training.shown_clips import shown_clips, write_clips
from qdexp.training.stepping import take_step
from qdexp.training.training_state import TrainingState

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
    latent_space: LatentSpace
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

    In a group of processes every one of them runs it, and reports at the same steps; the first
    writes the files.

    Raises:
        CheckpointError: A checkpoint belongs to another trajectory, or lies beyond the end, or the
            teacher's is not there.
        ConfigurationError: The processes cannot share this training, or a network that shall look
            at samples is not there.
        DataError: The latents are not there, or not whole.
        OSError: A checkpoint could not be written.
        TrainingMemoryError: Memory ran out, also with smaller micro-batches.
    """
    attempt = _open(trial, workspace)
    try:
        with attempt.course.batches:
            yield from _train(attempt)
        _save(attempt, final=True)
        outcome = _completed(attempt)
    except GeneratorExit:
        # Best effort: without it the next attempt repeats the steps since the last checkpoint.
        with contextlib.suppress(OSError):
            _save(attempt)
        raise
    except DivergedError as error:
        outcome = _diverged(attempt, error)
    yield outcome


def _open(trial: Trial, workspace: Workspace) -> _Attempt:
    config, ranks = trial.ours, current_ranks()
    check_ranks(config, ranks)
    device = computing_device(config)
    memory.reset_peak(device)
    assert workspace.latents is not None  # they are prepared for every trial of this training
    latents = open_latents(workspace.latents, config.data)
    course = make_course(config, trial.seed, latents.train, device, ranks)
    attempt = _Attempt(
        trial=trial,
        folder=workspace.folder,
        course=course,
        held_out=measurement.held_out(course, latents),
        latent_space=latents.space,
        state=initial_state(course, workspace.teacher),
        record=Record(),
    )
    if not _resume(attempt, workspace.start_from):
        with memory.explained(0, attempt.state.micro_batch):
            cluster_codebook(attempt.state, course)
    ranks.wait()  # nobody writes a checkpoint while another looks for one
    return attempt


def _resume(attempt: _Attempt, start_from: Path | None) -> bool:
    """Goes on from the newest whole checkpoint that there is; tells whether there was one."""
    candidates = checkpoint.newest_first(attempt.folder) + ([start_from] if start_from else [])
    found, warnings = checkpoint.first_whole(candidates)
    if found is not None:
        checkpoint.check_belongs(
            found, trajectory_id=attempt.trial.trajectory_id, num_steps=attempt.num_steps
        )
        attempt.state.load(found.state)
        attempt.record = Record.from_plain(found.record)
        attempt.state.micro_batch = attempt.record.micro_batch or attempt.state.micro_batch
        attempt.resumed_from_step = found.step
        if _curve_fields(found.configuration) != _curve_fields(_fields(attempt.trial)):
            attempt.record.drop_evaluation()
            warnings = [*warnings, "held-out curves begin where another trial was continued"]
    attempt.record.warnings += warnings
    return found is not None


def _train(attempt: _Attempt) -> Iterator[Progress]:
    """Trains to the end; every yield is between two steps, where the state can be saved."""
    config = attempt.trial.ours
    earlier = {name: list(entries) for name, entries in attempt.record.history.items()}
    yield replace(_progress(attempt, _measure_curve(attempt)), earlier=earlier)
    while attempt.state.step < attempt.num_steps:
        began = time.perf_counter()
        measured = take_step(attempt.state, attempt.course, attempt.record)
        attempt.record.add_step(measured, time.perf_counter() - began)
        step = attempt.state.step
        reported: dict[str, float] = {}
        if step % config.training.log_every_steps == 0:
            reported |= attempt.record.close_interval(step)
        reported |= _measure_curve(attempt)
        if step % config.training.checkpoint_every_steps == 0 and step < attempt.num_steps:
            _save(attempt)  # at the end it is the final one: both kept would be of one step
        if reported or _is_due(attempt):
            yield _progress(attempt, reported)


def _is_due(attempt: _Attempt) -> bool:
    """Tells whether to report; in a group always, since clocks differ and all must agree."""
    is_late = time.monotonic() - attempt.reported_at > REPORT_SECONDS
    return is_late or attempt.course.ranks.world_size > 1


def _measure_curve(attempt: _Attempt) -> dict[str, float]:
    """Measures the subset where a curve step is reached; at most once for each."""
    step, record = attempt.state.step, attempt.record
    if step not in attempt.trial.ours.evaluation.curve_steps:
        return {}
    if any(point.step == step for point in record.curve):
        return {}
    return _add_curve_point(attempt)


def _add_curve_point(attempt: _Attempt) -> dict[str, float]:
    began = time.perf_counter()
    record = attempt.record
    with _measuring(attempt) as model:
        point = measurement.curve_point(model, attempt.held_out, attempt.state.step)
    record.curve.append(point)
    measured = measurement.curve_scalars(point, attempt.held_out)
    record.add(attempt.state.step, measured)
    record.eval_seconds += time.perf_counter() - began
    return measured


@contextlib.contextmanager
def _measuring(attempt: _Attempt) -> Generator[QuantizedDiffusionPredictor]:
    """Lends the network as it is measured; explains memory that runs out."""
    state = attempt.state
    with memory.explained(state.step, state.micro_batch), state.averaged() as model:
        yield model


def _completed(attempt: _Attempt) -> Outcome:
    """Measures everything. The checkpoint was saved before: a longer training has none of this."""
    record = attempt.record
    if all(point.step != attempt.state.step for point in record.curve):
        _add_curve_point(attempt)
    if record.steps_in_interval:
        record.close_interval(attempt.state.step)
    began = time.perf_counter()
    with _measuring(attempt) as model:
        final = measurement.final_measurement(model, attempt.held_out)
        clips = shown_clips(model, attempt.course, attempt.held_out.clips)
    problem = write_clips(clips, attempt.folder) if attempt.course.ranks.is_first else None
    record.eval_seconds += time.perf_counter() - began
    broken = [f"{name} is {value}" for name, value in final.scalars.items() if not isfinite(value)]
    if broken:
        raise DivergedError(step=attempt.state.step, what=", ".join(broken))
    return Outcome(
        trial_id=attempt.trial.trial_id,
        status="completed",
        step=attempt.state.step,
        measurements=record.latest_of_training() | final.scalars | _cost(attempt),
        history=record.series(),
        arrays=final.arrays | measurement.curve_arrays(record.curve),
        warnings=(*record.warnings, *final.warnings, *([problem] if problem else [])),
        provenance=_provenance(attempt),
    )


def _diverged(attempt: _Attempt, error: DivergedError) -> Outcome:
    record = attempt.record
    return Outcome(
        trial_id=attempt.trial.trial_id,
        status="diverged",
        step=attempt.state.step,
        measurements=record.latest_of_training() | _cost(attempt),
        history=record.series(),
        arrays=measurement.curve_arrays(record.curve),
        warnings=tuple(record.warnings),
        failure=Failure(reason=str(error), step=error.step),
        provenance=_provenance(attempt),
    )


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
    saved = checkpoint.Checkpoint(
        trajectory_id=attempt.trial.trajectory_id,
        configuration=_fields(attempt.trial),
        step=step,
        state=attempt.state.tensors(),
        record=attempt.record.to_plain(),
        latent_space=attempt.latent_space.to_plain(),
    )
    if attempt.course.ranks.is_first:
        checkpoint.save(saved, attempt.folder / name)
    attempt.saved_step = step


def _progress(attempt: _Attempt, measured: dict[str, float]) -> Progress:
    attempt.reported_at = time.monotonic()
    device = attempt.course.device
    return Progress(
        step=attempt.state.step,
        num_steps=attempt.num_steps,
        measurements=measured,
        gpu_memory_bytes=memory.peak_bytes(device) if device.type == "cuda" else None,
    )


def _fields(trial: Trial) -> dict[str, Any]:
    return trial.configuration.fields()


def _curve_fields(fields: dict[str, Any]) -> list[Any]:
    """Returns what decides at which points and on what held-out curves are measured."""
    names = ("curve_steps", "curve_clips", "curve_levels", "num_levels")
    return [fields[f"evaluation.{name}"] for name in names]
