"""What may be compared: metrics whose meaning no factor changes, on shared noise levels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from qdexp.results.ledger import TrialRecord
from qdexp_analysis.contrasts import Scores
from qdexp_analysis.language import say
from qdexp_analysis.standing import status_of
from qdexp_analysis.table import Experiment

CLIP_ERRORS = {
    "eval.denoising_loss": "eval.clip_errors",
    "eval.quantized_loss": "eval.quantized_clip_errors",
    "eval.unquantized_loss": "eval.unquantized_clip_errors",
    "eval.pixel_error": "eval.pixel_errors",
}
"""Metrics that are a mean over noise levels and clips, and the array that is averaged."""

RANGE_FIELDS = ("diffusion.min_step", "diffusion.max_step", "diffusion.beta_schedule")
"""Fields that decide which noise levels a trial is trained on."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The noise levels at which every trial was measured.

    Args:
        log_snr: Each level, log of the signal's variance over the noise's.
        timesteps: Each level's timestep, one row for each noise schedule that was measured.
        is_shared: The levels inside the trained timestep range of every condition.
    """

    log_snr: Float[np.ndarray, " levels"]
    timesteps: Float[np.ndarray, "schedules levels"]
    is_shared: Bool[np.ndarray, " levels"]


def refusal(experiment: Experiment, metric: str) -> str | None:
    """Returns why conditions cannot be ranked on a metric, in words, or None if they can."""
    declared = experiment.declared.find(metric)
    if declared is None:
        return say("{metric} is not declared, so what it means is not known", metric=metric)
    fields = [f.field for f in experiment.factors if declared.is_defined_by(f.field)]
    if fields:
        if metric == "train.loss" and _is_weight(fields):
            return say(
                "{metric} contains {fields}, which this experiment varies: its meaning changes "
                "together with its value",
                metric=metric,
                fields=_listed(fields),
            )
        return say(
            "{metric} depends on {fields}, which this experiment varies: its meaning changes "
            "together with its value",
            metric=metric,
            fields=_listed(fields),
        )
    if declared.direction == "neither":
        return say("{metric} has no better or worse", metric=metric)
    levels = shared_levels(experiment)
    if metric in CLIP_ERRORS and levels is not None and not levels.is_shared.any():
        return say(
            "no noise level of {metric} is inside the trained timestep range of all conditions",
            metric=metric,
        )
    ranged = range_factors(experiment)
    has_completed = any(status_of(record) == "completed" for record in experiment.records)
    if metric in CLIP_ERRORS and ranged and has_completed and _by_clip(experiment, metric) is None:
        return say(
            "{metric} is a mean over each condition's own trained noise levels, which "
            "{listed} changes, and errors by level were not recorded alike",
            metric=metric,
            listed=_listed(ranged),
        )
    return None


def range_factors(experiment: Experiment) -> list[str]:
    """Returns the fields that this experiment varies among those that decide what is trained on."""
    return [factor.field for factor in experiment.factors if factor.field in RANGE_FIELDS]


def shared_levels(experiment: Experiment) -> Levels | None:
    """Returns the noise levels of the evaluation, or None where they were not recorded alike.

    The range of every planned trial counts, completed or not: what the metric means must not
    depend on which trials are done. Only a schedule that no trial has measured yet cannot count.
    """
    log_snr: Float[np.ndarray, " levels"] | None = None
    timesteps: dict[tuple[str, int], Float[np.ndarray, " levels"]] = {}
    for record in experiment.records:
        arrays = experiment.arrays.get(record.trial_id, {})
        if "eval.level_log_snr" not in arrays or "eval.level_timesteps" not in arrays:
            continue
        levels = arrays["eval.level_log_snr"]
        if log_snr is not None and not _same(levels, log_snr):
            return None
        log_snr = levels
        timesteps[_schedule(record)] = arrays["eval.level_timesteps"]
    if log_snr is None:
        return None
    is_shared = np.ones(log_snr.shape, dtype=bool)
    for schedule, low, high in {_trained(record) for record in experiment.records}:
        if schedule in timesteps:
            is_shared &= (timesteps[schedule] >= low) & (timesteps[schedule] <= high)
    rows = np.stack(list(timesteps.values()))
    return Levels(log_snr=log_snr, timesteps=rows, is_shared=is_shared)


def scores(experiment: Experiment, metric: str) -> Scores:
    """Returns a metric of every trial, by clip and over shared levels where arrays allow it.

    Clips of one video are no independent draws: where they were recorded, the videos are the clips.
    """
    shape = (len(experiment.conditions), len(experiment.seeds))
    diverged, failed = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for record in experiment.records:
        diverged[experiment.place(record)] = status_of(record) == "diverged"
        failed[experiment.place(record)] = status_of(record) == "failed"
    values = _by_clip(experiment, metric)
    sources = clip_sources(experiment)
    if values is None:
        values = _by_trial(experiment, metric)
    elif sources is not None and len(sources) == values.shape[2]:
        values = _by_source(values, sources)
    direction = experiment.metric(metric).direction
    return Scores(values=values, diverged=diverged, direction=direction, failed=failed)


def ended(experiment: Experiment) -> Bool[np.ndarray, "k s"]:
    """Tells which trials had their chance: they completed, diverged or failed."""
    done = np.zeros((len(experiment.conditions), len(experiment.seeds)), dtype=bool)
    for record in experiment.records:
        done[experiment.place(record)] = status_of(record) in ("completed", "diverged", "failed")
    return done


def clip_sources(experiment: Experiment) -> Float[np.ndarray, " c"] | None:
    """Returns the number of the video that each clip is from, or None if not recorded alike."""
    completed = [r for r in experiment.records if status_of(r) == "completed"]
    recorded = [experiment.arrays[each.trial_id].get("eval.clip_sources") for each in completed]
    first = recorded[0] if recorded else None
    if first is None or any(each is None or not _same(each, first) for each in recorded):
        return None
    return first


def level_errors(experiment: Experiment, metric: str) -> Float[np.ndarray, "k s levels"] | None:
    """Returns an error by condition, seed and noise level, or None where it was not recorded."""
    errors = _errors(experiment, metric)
    return None if errors is None else errors.mean(axis=3)


def _schedule(record: TrialRecord) -> tuple[str, int]:
    diffusion = record.trial.ours.diffusion
    return diffusion.beta_schedule, diffusion.num_train_timesteps


def _trained(record: TrialRecord) -> tuple[tuple[str, int], int, int]:
    """Returns a trial's noise schedule, and the range of its timesteps that it is trained on."""
    diffusion = record.trial.ours.diffusion
    return _schedule(record), diffusion.min_step, diffusion.max_step


def _by_clip(experiment: Experiment, metric: str) -> Float[np.ndarray, "k s c"] | None:
    levels = shared_levels(experiment)
    errors = _errors(experiment, metric)
    if levels is None or errors is None or not levels.is_shared.any():
        return None
    return errors[:, :, levels.is_shared].mean(axis=2)


def _by_source(
    values: Float[np.ndarray, "k s c"], sources: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "k s videos"]:
    """Returns a value for each video, whose mean is the mean over clips.

    A video's value is that mean, and its clips' deviations from it summed, in units of the mean
    number of clips: so its variance over videos is the cluster-robust one.
    """
    _, position, counts = np.unique(sources, return_inverse=True, return_counts=True)
    per_video = len(sources) / len(counts)
    sums = values @ (position[:, None] == np.arange(len(counts)))
    return values.mean(axis=2, keepdims=True) * (1 - counts / per_video) + sums / per_video


def _errors(experiment: Experiment, metric: str) -> Float[np.ndarray, "k s levels c"] | None:
    """Returns the recorded errors, if all completed trials recorded them alike."""
    name = "" if experiment.is_own else CLIP_ERRORS.get(metric, "")
    completed = [r for r in experiment.records if status_of(r) == "completed"]
    recorded = [experiment.arrays[record.trial_id].get(name) for record in completed]
    found = [errors for errors in recorded if errors is not None]
    shapes = {errors.shape for errors in found}
    if len(found) < len(recorded) or len(shapes) != 1:
        return None
    values = np.full((len(experiment.conditions), len(experiment.seeds), *shapes.pop()), np.nan)
    for record, errors in zip(completed, found, strict=True):
        values[experiment.place(record)] = errors
    return values


def _by_trial(experiment: Experiment, metric: str) -> Float[np.ndarray, "k s 1"]:
    values = np.full((len(experiment.conditions), len(experiment.seeds), 1), np.nan)
    for record in experiment.records:
        if record.outcome is not None and record.outcome.status == "completed":
            value = record.outcome.measurements.get(metric, np.nan)
            values[experiment.place(record)] = value if np.isfinite(value) else np.nan
    return values


def _same(one: Float[np.ndarray, "..."], other: Float[np.ndarray, "..."]) -> bool:
    return one is other or (one.shape == other.shape and bool(np.allclose(one, other)))


def _is_weight(fields: list[str]) -> bool:
    return fields == ["training.quantization_weight"]


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return say("{listed} and {last}", listed=say(", ").join(names[:-1]), last=names[-1])
