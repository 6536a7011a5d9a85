"""From a training state to the numbers that an outcome holds.

The scalar `eval.*` errors are means over the noise levels inside the trial's own trained range,
since the others are extrapolation. The arrays hold every level, for comparisons between trials
that were trained on different ranges.
"""

# pyright: basic

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.data.latent_cache import Latents
from qdexp.evaluation.denoising_error import (
    DenoisingErrors,
    HeldOutClips,
    NoiseLevels,
    denoising_errors,
    noise_levels,
)
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.results.outcome import Array
from qdexp.training import memory, randomness
from qdexp.training.code_health import CodeHealth, code_health
from qdexp.training.course import Course
from qdexp.training.record import CurvePoint, Record
from qdexp.training.sample_measurement import (
    RealClips,
    SampleNetworks,
    open_networks,
    sample_measurement,
)
from qdexp.training.training_state import num_parameters


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What is measured at the end of a training."""

    scalars: dict[str, float]
    arrays: dict[str, Array]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a trial is measured on.

    Args:
        course: The trial's course.
        levels: All noise levels of its evaluation, on the device.
        clips: All held-out clips of its evaluation, on the device.
        sources: The number of the video that each of them is from.
        real: The training clips, with which samples are compared.
        networks: What looks at samples.
    """

    course: Course
    levels: NoiseLevels
    clips: HeldOutClips
    sources: Tensor
    real: RealClips
    networks: SampleNetworks

    @property
    def config(self) -> Configuration:
        """The trial's configuration."""
        return self.course.config


def held_out(course: Course, latents: Latents) -> HeldOut:
    """Returns the first `evaluation.num_clips` held-out clips, each with its own noise.

    Raises:
        ConfigurationError: What shall look at samples cannot.
    """
    evaluation = course.config.evaluation
    x_0 = latents.held_out[: evaluation.num_clips].to(course.device, course.dtype)
    real = RealClips(latents=latents.train, decode=latents.space.decode)
    return HeldOut(
        course=course,
        levels=noise_levels(course.parametrisation.schedule, evaluation.num_levels),
        clips=with_noise(x_0, latents.space.decode),
        sources=latents.held_out_sources[: evaluation.num_clips],
        real=real,
        networks=open_networks(course, real),
    )


def with_noise(x_0: Tensor, decode: Callable[[Tensor], Tensor]) -> HeldOutClips:
    """Returns held-out clips (n, c, t, h, w), each with the noise that is its own everywhere."""
    noise = [
        randomness.evaluation_noise(clip=clip, shape=tuple(x_0.shape[1:]))
        for clip in range(len(x_0))
    ]
    return HeldOutClips(
        latents=x_0, noise=torch.stack(noise).to(x_0.device, x_0.dtype), decode=decode
    )


def curve_point(model: QuantizedDiffusionPredictor, on: HeldOut, step: int) -> CurvePoint:
    """Measures the subset: the first `curve_clips`, at `curve_levels` evenly chosen levels."""
    count = on.config.evaluation.curve_clips
    clips = HeldOutClips(
        latents=on.clips.latents[:count], noise=on.clips.noise[:count], decode=on.clips.decode
    )
    errors = denoising_errors(model, on.course.parametrisation, _curve_levels(on), clips)
    return CurvePoint(
        step=step,
        sampled=tuple(errors.sampled.mean(dim=1).tolist()),
        unquantized=tuple(errors.unquantized.mean(dim=1).tolist()),
    )


def curve_scalars(point: CurvePoint, on: HeldOut) -> dict[str, float]:
    """Returns a curve point's means over the levels inside the trained range, if there are any."""
    inside = _is_trained(on.config, _curve_levels(on))
    means = {
        "eval.curve_denoising_loss": _mean(torch.tensor(point.sampled)[inside]),
        "eval.curve_unquantized_loss": _mean(torch.tensor(point.unquantized)[inside]),
    }
    return means if inside.any() else {}


def final_measurement(model: QuantizedDiffusionPredictor, on: HeldOut) -> Measurement:
    """Measures every clip at every level, the codes of its tokens, and samples if wanted."""
    errors = denoising_errors(model, on.course.parametrisation, on.levels, on.clips)
    health = code_health(errors.indices, on.config)
    inside = _is_trained(on.config, on.levels)
    scalars = dict(health.scalars) if health else {}
    warnings = health.warnings if health else ()
    if inside.any():
        scalars |= {
            "eval.denoising_loss": _mean(errors.sampled[inside]),
            "eval.quantized_loss": _mean(errors.quantized[inside]),
            "eval.unquantized_loss": _mean(errors.unquantized[inside]),
            "eval.pixel_error": _mean(errors.pixels[inside]),
        }
    else:
        warnings += (
            "no noise level of the evaluation lies between diffusion.min_step and "
            "diffusion.max_step: eval.denoising_loss was not measured; widen the range",
        )
    if on.config.evaluation.num_samples:
        of_samples, more = sample_measurement(model, on.course, on.networks, on.real)
        scalars |= of_samples
        warnings += more
    return Measurement(scalars=scalars, arrays=_arrays(errors, health, on), warnings=warnings)


def curve_arrays(curve: list[CurvePoint]) -> dict[str, Array]:
    """Returns the subset's errors as arrays: by point of training and level."""
    if not curve:
        return {}
    return {
        "eval.curve_points": _array(torch.tensor([point.step for point in curve])),
        "eval.curve_level_errors": _array(torch.tensor([point.sampled for point in curve])),
    }


def cost(
    model: QuantizedDiffusionPredictor, record: Record, device: torch.device
) -> dict[str, float]:
    """Returns what the training took."""
    steps = [seconds for _, seconds in record.history.get("cost.step_seconds", [])]
    return {
        "cost.parameters": float(num_parameters(model)),
        "cost.step_seconds": statistics.median(steps) if steps else record.train_seconds,
        "cost.train_seconds": record.train_seconds,
        "cost.eval_seconds": record.eval_seconds,
        "cost.peak_memory_bytes": float(memory.peak_bytes(device)),
    }


def _is_trained(config: Configuration, levels: NoiseLevels) -> Tensor:
    timesteps = levels.timesteps.cpu()
    return (timesteps >= config.diffusion.min_step) & (timesteps <= config.diffusion.max_step)


def _curve_levels(on: HeldOut) -> NoiseLevels:
    return on.levels.evenly_chosen(on.config.evaluation.curve_levels)


def _arrays(errors: DenoisingErrors, health: CodeHealth | None, on: HeldOut) -> dict[str, Array]:
    arrays = {
        "eval.clip_errors": _array(errors.sampled),
        "eval.quantized_clip_errors": _array(errors.quantized),
        "eval.unquantized_clip_errors": _array(errors.unquantized),
        "eval.pixel_errors": _array(errors.pixels),
        "eval.level_log_snr": _array(on.levels.log_snr),
        "eval.level_timesteps": _array(on.levels.timesteps),
        "eval.clip_sources": _array(on.sources),
    }
    if health:
        arrays["eval.code_counts"] = _array(health.counts.flatten())
        arrays["eval.bucket_code_use"] = _array(health.by_bucket)
    return arrays


def _array(values: Tensor) -> Array:
    return Array(shape=tuple(values.shape), values=tuple(values.double().flatten().tolist()))


def _mean(values: Tensor) -> float:
    return values.double().mean().item()
