"""One optimizer step, as a function of the state, the step's number and the seed."""

# pyright: basic

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdexp.config.configuration import Configuration
from qdexp.config.sections import TrainingConfig
from qdexp.diffusion.schedule import NoiseSchedule
from qdexp.errors import DivergedError
from qdexp.evaluation.codebook_statistics import codebook_usage, perplexity
from qdexp.model.vector_quantizer import CodeStatistics
from qdexp.training import randomness
from qdexp.training.denoising import Batch, denoising_losses
from qdexp.training.training_state import TrainingState

AVERAGED = ("train.loss", "train.denoising_loss", "train.vq_loss")
"""Measurements of a step that are averaged over an interval; the others are the last step's."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What stays the same through a training.

    Args:
        config: The trial's configuration.
        seed: The trial's seed.
        schedule: The forward process, on the device.
        clips: All clean training latents (n, c, t, h, w), memory mapped.
        device: Where the model is.
    """

    config: Configuration
    seed: int
    schedule: NoiseSchedule
    clips: Tensor
    device: torch.device


def train_step(state: TrainingState, course: Course) -> dict[str, float]:
    """Takes one optimizer step and returns what it measured.

    Raises:
        DivergedError: A loss or the gradient is not finite; the state is as before the step.
    """
    training = course.config.training
    batch = draw_batch(course, state.step)
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    with randomness.dropout_masks(course.seed, step=state.step, device=course.device):
        losses, statistics = _accumulate_gradients(state, course, batch)
    measured: dict[str, float] = dict(zip(AVERAGED, losses.tolist(), strict=True))
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), training.max_grad_norm)
    _check_finite(measured | {"gradient norm": norm.item()}, state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(training, state.step)
    state.optimizer.step()
    order = randomness.replacement_order(
        course.seed, step=state.step, num_tokens=len(statistics.tokens)
    )
    state.model.quantizer.update(statistics, order.to(course.device))
    state.step += 1
    measured["train.codebook_usage"] = codebook_usage(statistics.counts)
    measured["train.perplexity"] = perplexity(statistics.counts)
    return measured


def draw_batch(course: Course, step: int) -> Batch:
    """Returns all clips of an optimizer step, a function of seed and step."""
    config = course.config
    size = config.clips_per_step
    clips = randomness.clip_indices(course.seed, step=step, batch=size, num_clips=len(course.clips))
    x_0 = course.clips[clips].to(course.device)
    trained = (config.diffusion.min_step, config.diffusion.max_step)
    t = randomness.timesteps(course.seed, step=step, batch=size, trained=trained)
    noise = randomness.noise(course.seed, step=step, shape=tuple(x_0.shape))
    return Batch(x_0=x_0, noise=noise.to(course.device), t=t.to(course.device))


def learning_rate(training: TrainingConfig, step: int) -> float:
    """Returns the rate of a step, from 0: linear warm-up, then constant."""
    warmed_up = min(1.0, (step + 1) / (training.warmup_steps + 1))
    return training.learning_rate * warmed_up


def _accumulate_gradients(
    state: TrainingState, course: Course, batch: Batch
) -> tuple[Tensor, CodeStatistics]:
    """Adds up gradients, losses (means over the batch) and statistics over micro-batches."""
    training = course.config.training
    totals = torch.zeros(len(AVERAGED), device=course.device)
    statistics: CodeStatistics | None = None
    for part in batch.split(training.batch_size):
        share = len(part.x_0) / len(batch.x_0)
        losses = denoising_losses(state.model, course.schedule, part, training.quantization_weight)
        (share * losses.loss).backward()
        parts = torch.stack([losses.loss, losses.denoising_loss, losses.vq_loss])
        totals += share * parts.detach()
        statistics = statistics + losses.statistics if statistics else losses.statistics
    assert statistics is not None, "a batch has at least one micro-batch"
    return totals, statistics


def _check_finite(measured: dict[str, float], step: int) -> None:
    for name, value in measured.items():
        if not math.isfinite(value):
            raise DivergedError(step=step, what=f"{name.removeprefix('train.')} is {value}")
