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
from qdexp.diffusion.schedule import NoiseSchedule
from qdexp.evaluation.codebook_statistics import code_counts, codebook_usage, perplexity
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
from qdexp.training.record import CurvePoint, Record
from qdexp.training.training_state import num_parameters

COLLAPSED_SHARE = 0.01
"""A codebook counts as collapsed below this share of the greatest perplexity possible."""


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
        config: The trial's configuration.
        schedule: The forward process, on the device.
        levels: All noise levels of `config.evaluation`, on the device.
        clips: All its clips, on the device.
    """

    config: Configuration
    schedule: NoiseSchedule
    levels: NoiseLevels
    clips: HeldOutClips


def held_out(
    config: Configuration, latents: Latents, schedule: NoiseSchedule, device: torch.device
) -> HeldOut:
    """Returns the first `evaluation.num_clips` held-out clips, each with its own noise."""
    x_0 = latents.held_out[: config.evaluation.num_clips].to(device)
    clips = with_noise(x_0, latents.decode)
    levels = noise_levels(schedule, config.evaluation.num_levels)
    return HeldOut(config=config, schedule=schedule, levels=levels, clips=clips)


def with_noise(x_0: Tensor, decode: Callable[[Tensor], Tensor]) -> HeldOutClips:
    """Returns held-out clips (n, c, t, h, w), each with the noise that is its own everywhere."""
    noise = [
        randomness.evaluation_noise(clip=clip, shape=tuple(x_0.shape[1:]))
        for clip in range(len(x_0))
    ]
    return HeldOutClips(latents=x_0, noise=torch.stack(noise).to(x_0.device), decode=decode)


def curve_point(model: QuantizedDiffusionPredictor, on: HeldOut, step: int) -> CurvePoint:
    """Measures the subset: the first `curve_clips`, at `curve_levels` evenly chosen levels."""
    count = on.config.evaluation.curve_clips
    clips = HeldOutClips(
        latents=on.clips.latents[:count], noise=on.clips.noise[:count], decode=on.clips.decode
    )
    errors = denoising_errors(model, on.schedule, _curve_levels(on), clips)
    return CurvePoint(
        step=step,
        quantized=tuple(errors.quantized.mean(dim=1).tolist()),
        unquantized=tuple(errors.unquantized.mean(dim=1).tolist()),
    )


def curve_scalars(point: CurvePoint, on: HeldOut) -> dict[str, float]:
    """Returns a curve point's means over the levels inside the trained range, if there are any."""
    inside = _is_trained(on.config, _curve_levels(on))
    means = {
        "eval.curve_denoising_loss": _mean(torch.tensor(point.quantized)[inside]),
        "eval.curve_unquantized_loss": _mean(torch.tensor(point.unquantized)[inside]),
    }
    return means if inside.any() else {}


def final_measurement(model: QuantizedDiffusionPredictor, on: HeldOut) -> Measurement:
    """Measures every clip at every level, and the codebook on `codebook_tokens` of the tokens.

    Those are spread evenly over all: clip by clip, level by level, frame, row and column.
    """
    errors = denoising_errors(model, on.schedule, on.levels, on.clips)
    tokens = evenly_spread(errors.indices.flatten(), on.config.evaluation.codebook_tokens)
    counts = code_counts(tokens, on.config.model.num_embeddings)
    inside = _is_trained(on.config, on.levels)
    scalars = {
        "eval.codebook_usage": codebook_usage(counts),
        "eval.perplexity": perplexity(counts),
    }
    if inside.any():
        scalars |= {
            "eval.denoising_loss": _mean(errors.quantized[inside]),
            "eval.unquantized_loss": _mean(errors.unquantized[inside]),
            "eval.pixel_error": _mean(errors.pixels[inside]),
        }
    warnings = collapse_warnings(scalars["eval.perplexity"], on.config)
    if not inside.any():
        warnings += (
            "no noise level of the evaluation lies between diffusion.min_step and "
            "diffusion.max_step: eval.denoising_loss was not measured; widen the range",
        )
    return Measurement(scalars=scalars, arrays=_arrays(errors, counts, on), warnings=warnings)


def collapse_warnings(perplexity: float, config: Configuration) -> tuple[str, ...]:
    """Says that a codebook collapsed, and what helps, if its perplexity is that low."""
    greatest = min(config.model.num_embeddings, config.evaluation.codebook_tokens)
    if perplexity >= COLLAPSED_SHARE * greatest:
        return ()
    also = "" if config.model.dead_code_threshold else ", or set model.dead_code_threshold"
    return (
        f"the codebook collapsed: perplexity {perplexity:.1f} of at most {greatest}; lower "
        "model.commitment_cost, raise model.ema_decay, model.num_embeddings or the diversity of "
        f"the training data{also}",
    )


def evenly_spread(values: Tensor, count: int) -> Tensor:
    """Returns `count` of the values, the first and the last among them, at even distances."""
    places = torch.linspace(0, len(values) - 1, count, dtype=torch.float64)
    return values[places.round().long()]


def curve_arrays(curve: list[CurvePoint]) -> dict[str, Array]:
    """Returns the subset's errors as arrays: by point of training and level."""
    if not curve:
        return {}
    return {
        "eval.curve_points": _array(torch.tensor([point.step for point in curve])),
        "eval.curve_level_errors": _array(torch.tensor([point.quantized for point in curve])),
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


def _arrays(errors: DenoisingErrors, counts: Tensor, on: HeldOut) -> dict[str, Array]:
    return {
        "eval.clip_errors": _array(errors.quantized),
        "eval.unquantized_clip_errors": _array(errors.unquantized),
        "eval.pixel_errors": _array(errors.pixels),
        "eval.level_log_snr": _array(on.levels.log_snr),
        "eval.level_timesteps": _array(on.levels.timesteps),
        "eval.code_counts": _array(counts),
    }


def _array(values: Tensor) -> Array:
    return Array(shape=tuple(values.shape), values=tuple(values.double().flatten().tolist()))


def _mean(values: Tensor) -> float:
    return values.double().mean().item()
