"""Distribution matching distillation: a student's samples are moved to where a teacher's lie.

Two networks judge a student's sample after noise was added to it: the frozen teacher predicts the
clean sample as the data has it, the fake score as the student has it. Their difference points from
the data to the student. Nothing here knows the networks: they are callables.

Axes: b samples of a batch, any axes of one sample.
"""

# pyright: basic

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from qdexp.diffusion.schedule import NoiseSchedule


@torch.no_grad()
def matching_gradient(
    x: Float[Tensor, " b *sample"],
    real_x0: Float[Tensor, " b *sample"],
    fake_x0: Float[Tensor, " b *sample"],
) -> Float[Tensor, " b *sample"]:
    """Returns g = (fake_x0 - real_x0) / mean|x - real_x0|, the mean taken sample by sample.

    In float32 or wider, and a constant for autograd (Yin et al., 2024, One-step Diffusion with
    Distribution Matching Distillation, equations 7 and 8, written for predictions of x_0). Where
    the teacher changes a sample by no more than rounding there is no scale to divide by, and the
    sample's gradient is 0. What is not finite is not replaced: the loss must show the divergence.

    Args:
        x: The student's samples.
        real_x0: The teacher's predictions for `x` with noise added.
        fake_x0: The fake score's, for the same noise and timesteps.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    x, real_x0, fake_x0 = x.to(dtype), real_x0.to(dtype), fake_x0.to(dtype)
    normaliser = _mean_size(x - real_x0)
    is_rounding = normaliser <= torch.finfo(dtype).eps * _mean_size(x)
    difference = fake_x0 - real_x0
    return torch.where(is_rounding, 0.0, difference / normaliser)


def matching_loss(
    x: Float[Tensor, " b *sample"], gradient: Float[Tensor, " b *sample"]
) -> Float[Tensor, ""]:
    """Returns mean (x - (x - g))^2 / 2, the second x - g constant: its gradient is g / numel.

    The value is the mean of g^2 / 2, and measures no progress: g is normalised (Yin et al., 2024,
    Improved Distribution Matching Distillation, main/sd_guidance.py).
    """
    x = x.to(gradient.dtype)
    return 0.5 * functional.mse_loss(x, (x - gradient).detach())


def few_step_input(
    predict_x0: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    timesteps: Int[Tensor, " n"],
    noise: Callable[[int], Tensor],
    num_calls: int,
) -> tuple[Float[Tensor, " b *sample"], Int[Tensor, " b"]]:
    """Returns the student's input x_t and t after `num_calls` calls of it, without a gradient.

    So a student is trained on what it will meet when it samples (backward simulation: Yin et al.,
    2024, Improved Distribution Matching Distillation, section 4.5).

    Args:
        predict_x0: The student, a function of x_t and of a timestep for every sample.
        schedule: The forward process.
        timesteps: Of the student's calls, falling.
        noise: Standard normal noise by call, of the samples' shape: that of call 0 is what sampling
            starts from, that of a later call is added to the prediction before it.
        num_calls: How many calls are made here, less than there are timesteps.

    Raises:
        IndexError: There is no timestep for a call after `num_calls`.
    """
    x_t = noise(0)
    t = timesteps[0].expand(len(x_t))
    with torch.no_grad():
        for call in range(1, num_calls + 1):
            fresh = noise(call)
            x_0 = predict_x0(x_t, t).to(fresh.dtype)
            t = timesteps[call].expand(len(x_t))
            x_t = schedule.add_noise(x_0, fresh, t)
    return x_t, t


def few_step_sample(
    predict_x0: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    timesteps: Int[Tensor, " n"],
    noise: Callable[[int], Tensor],
) -> Float[Tensor, " b *sample"]:
    """Returns the student's samples: x_0 is predicted, noise is added anew, and so on.

    The last call keeps its gradient where autograd is on, the others never do. The arguments are
    those of `few_step_input`.
    """
    last = len(timesteps) - 1
    return predict_x0(*few_step_input(predict_x0, schedule, timesteps, noise, last))


def _mean_size(x: Float[Tensor, " b *sample"]) -> Float[Tensor, " b *ones"]:
    return x.abs().flatten(1).mean(1).reshape(-1, *[1] * (x.ndim - 1))
