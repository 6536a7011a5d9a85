"""Sampling with DDIM on an exact grid: the next timestep of a step is the grid's, whatever it is.

Axes: n timesteps of the grid, b clips of a batch, any axes of one clip.
"""

# pyright: basic

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qdexp.diffusion.schedule import NoiseSchedule


def trailing_timesteps(num_steps: int, least: int, greatest: int) -> Int[Tensor, " n"]:
    """Returns timesteps that fall from `greatest`, evenly spaced, at least `least`.

    So sampling begins at the noise that was trained (Lin et al., 2023, section 3.3 and table 2,
    trailing): 4 steps within 0..999 are 999, 749, 499, 249.

    Raises:
        ValueError: There are fewer timesteps than steps, or no steps.
    """
    span = greatest + 1 - least
    if not 1 <= num_steps <= span:
        raise ValueError(
            f"num_steps: expected 1 to {span}, the timesteps from {least} to {greatest}, found "
            f"{num_steps}"
        )
    return torch.tensor([round(greatest + 1 - i * span / num_steps) - 1 for i in range(num_steps)])


@torch.no_grad()
def ddim_sample(  # noqa: PLR0913 - all that a sampler is, and all randomness is an argument
    predict_x0: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    timesteps: Int[Tensor, " n"],
    noise: Float[Tensor, " b *clip"],
    *,
    eta: float = 0.0,
    step_noise: Callable[[int], Tensor] | None = None,
) -> Float[Tensor, " b *clip"]:
    """Returns the clean clips that `noise` leads to, in its numbers and without a gradient.

    Each step goes to the grid's next timestep (Song et al., 2021, Denoising Diffusion Implicit
    Models, equations 12 and 16); the last prediction is the sample.

    Args:
        predict_x0: The clean clips, as a function of x_t and of a timestep for every clip.
        schedule: The forward process.
        timesteps: Of the predictions, falling.
        noise: Standard normal, what sampling starts from.
        eta: 0 is deterministic, 1 adds as much noise as DDPM's posterior has.
        step_noise: Standard normal noise of the clips' shape, by step from 0; called after every
            prediction but the last, and only if `eta` is above 0.

    Raises:
        ValueError: The timesteps do not fall, or `eta` is above 0 without `step_noise`.
    """
    if not len(timesteps) or (timesteps.diff() >= 0).any():
        raise ValueError(f"timesteps: expected falling ones, found {timesteps.tolist()}")
    if eta > 0 and step_noise is None:
        raise ValueError(f"step_noise: expected noise for eta {eta}, found none")
    x_t = noise
    steps = _steps(schedule.alphas_cumprod[timesteps].tolist(), eta)
    for index, step in enumerate(steps):
        x_0 = predict_x0(x_t, timesteps[index].expand(len(x_t))).to(noise.dtype)
        x_t = step.x0_share * x_0 + step.x_t_share * x_t
        if step_noise is not None and step.deviation > 0:
            x_t = x_t + step.deviation * step_noise(index).to(noise.dtype)
    return predict_x0(x_t, timesteps[-1].expand(len(x_t))).to(noise.dtype)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """x_s = x0_share x_0 + x_t_share x_t + deviation noise, from timestep t to s."""

    x0_share: float
    x_t_share: float
    deviation: float


def _steps(shares: list[float], eta: float) -> list[_Step]:
    """Returns the steps between the signal's shares of variance alpha_bar at falling timesteps.

    Equation 12 of the paper, with epsilon = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t).
    """
    steps: list[_Step] = []
    for now, after in itertools.pairwise(shares):
        variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
        # Rounding can bring what is left of the noise below 0 where it is 0.
        x_t_share = math.sqrt(max(0.0, 1 - after - variance) / (1 - now))
        steps.append(
            _Step(
                x0_share=math.sqrt(after) - x_t_share * math.sqrt(now),
                x_t_share=x_t_share,
                deviation=math.sqrt(variance),
            )
        )
    return steps
