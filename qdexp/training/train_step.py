"""One optimizer step, as a function of the state, the step's number and the seed."""

# pyright: basic

import math
from contextlib import AbstractContextManager

import torch

from qdexp.errors import DivergedError
from qdexp.evaluation.codebook_statistics import codebook_usage, perplexity
from qdexp.model.quantizers.quantization import CodeStatistics
from qdexp.training import randomness
from qdexp.training.course import Course, learning_rate
from qdexp.training.denoising import denoising_losses
from qdexp.training.learner import Gradients, Learner
from qdexp.training.training_state import TrainingState

LEAST_LOSS_SCALE = 2.0**-14
"""fp16's gradients overflow at this scale only if they are not finite at any."""


def train_step(state: TrainingState, course: Course) -> dict[str, float]:
    """Takes one step of the diffusion objective and returns what it measured.

    Raises:
        DivergedError: A loss or the gradient is not finite; the state is as before the step.
    """
    learner, weight = state.learner, course.config.training.quantization_weight
    parts = course.batch(state.step).split(state.micro_batch, course.ranks)
    learner.model.train()
    with dropout_masks(course, state.step):
        gradients = learner.gradients(
            parts,
            lambda part: denoising_losses(learner.forward, course.parametrisation, part, weight),
        )
    return finish_step(state, course, gradients, micro_batches=len(parts))


def dropout_masks(course: Course, key: int | str) -> AbstractContextManager[None]:
    """Returns the context in which dropout belongs to one update and this process."""
    return randomness.dropout_masks(
        course.seed, key=key, rank=course.ranks.rank, device=course.device
    )


def finish_step(
    state: TrainingState, course: Course, gradients: Gradients, *, micro_batches: int
) -> dict[str, float]:
    """Moves the network, its codebook and its averages by a step's gradients.

    Where fp16 overflowed nothing moves, the codebook included; the step is counted.

    Raises:
        DivergedError: A loss or the gradient is not finite; the state is as before the step.
    """
    config = course.config
    measured, is_taken = descend(state.learner, gradients, config.learning_rate, course, state.step)
    order = randomness.replacement_order(
        course.seed, step=state.step, num_tokens=config.tokens_per_clip * config.clips_per_step
    )
    statistics, order = course.ranks.combined(
        gradients.statistics, order.to(course.device), micro_batches
    )
    if is_taken:
        state.model.quantizer.update(statistics, order)
        if config.training.ema_weights_decay is not None:
            state.update_average(config.training.ema_weights_decay)
    state.step += 1
    return measured | _code_measurements(statistics)


def descend(
    learner: Learner, gradients: Gradients, full_rate: float, course: Course, step: int
) -> tuple[dict[str, float], bool]:
    """Takes the optimizer's step; returns the mean losses, and whether it was taken.

    Raises:
        DivergedError: A loss or the gradient is not finite; nothing was moved.
    """
    means = course.ranks.mean(torch.stack(list(gradients.parts.values())))
    measured = dict(zip(gradients.parts, means.tolist(), strict=True))
    _check_finite(measured, step, learner)
    norm = learner.clip(course.config.training.max_grad_norm)
    is_taken = math.isfinite(norm)
    can_overflow = learner.scaler.is_enabled() and learner.scaler.get_scale() > LEAST_LOSS_SCALE
    if not is_taken and not can_overflow:
        _check_finite({"gradient norm": norm}, step, learner)
    learner.descend(learning_rate(course.config, full_rate, step))
    return measured, is_taken


def _code_measurements(statistics: CodeStatistics) -> dict[str, float]:
    if not statistics.counts.numel():
        return {}
    return {
        "train.codebook_usage": codebook_usage(statistics.counts),
        "train.perplexity": perplexity(statistics.counts),
    }


def _check_finite(measured: dict[str, float], step: int, learner: Learner) -> None:
    for name, value in measured.items():
        if not math.isfinite(value):
            what = f"{name.removeprefix('train.')} is {value}"
            raise DivergedError(step=step, what=what, rate=learner.rate_field)
