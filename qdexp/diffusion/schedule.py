"""The forward process: how much of a clip and how much noise there is at each timestep.

Axes: s timesteps of the schedule, b clips of a batch.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

MAX_BETA = 0.999
"""Nichol and Dhariwal, 2021, section 3.2: no step removes more than this share of the signal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseSchedule:
    """A variance-preserving noise schedule; timestep 0 has the least noise.

    Args:
        alphas_cumprod: Share of the signal's variance that is left after each timestep, falling;
            the last may be 0.
    """

    alphas_cumprod: Float64[Tensor, " s"]

    def to(self, device: torch.device) -> "NoiseSchedule":
        """Returns the same schedule on another device."""
        return NoiseSchedule(alphas_cumprod=self.alphas_cumprod.to(device))

    def add_noise(
        self, x_0: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b ..."]:
        """Returns x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise (Ho et al., 2020, equation 4).

        In the numbers of `x_0`.
        """
        signal_scale, noise_scale = self.scales(t, x_0)
        return signal_scale * x_0 + noise_scale * noise.to(x_0.dtype)

    def scales(
        self, t: Int[Tensor, " b"], x: Float[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]:
        """Returns sqrt(a_t) and sqrt(1 - a_t), in the numbers of `x` and to be multiplied by it."""
        share = self.alphas_cumprod[t].reshape(-1, *[1] * (x.ndim - 1))
        return share.sqrt().to(x.dtype), (1 - share).sqrt().to(x.dtype)

    def log_snr(self) -> Float64[Tensor, " s"]:
        """Returns log(a_t / (1 - a_t)), the logarithm of the signal-to-noise ratio, falling.

        It is minus infinity where nothing is left of the signal.
        """
        return torch.logit(self.alphas_cumprod)

    def timesteps_nearest_to(self, log_snr: Float64[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Returns for each wanted log-SNR the timestep whose own is nearest to it."""
        return (self.log_snr() - log_snr[:, None]).abs().argmin(dim=1)


def noise_schedule(
    kind: Literal["linear", "cosine"], num_train_timesteps: int, *, zero_terminal_snr: bool = False
) -> NoiseSchedule:
    """Returns the schedule that a configuration names, computed in float64.

    Args:
        kind: The family of the schedule.
        num_train_timesteps: How many timesteps it has.
        zero_terminal_snr: Whether it is rescaled so that its last timestep is pure noise.
    """
    betas = _linear_betas if kind == "linear" else _cosine_betas
    alphas_cumprod = (1 - betas(num_train_timesteps)).cumprod(0)
    if zero_terminal_snr:
        alphas_cumprod = _with_zero_terminal_snr(alphas_cumprod)
    return NoiseSchedule(alphas_cumprod=alphas_cumprod)


def _linear_betas(count: int) -> Float64[Tensor, " s"]:
    """Ho et al., 2020, section 4: 1e-4 to 0.02 over 1,000 timesteps, scaled for other counts."""
    scale = 1000 / count
    betas = torch.linspace(scale * 1e-4, scale * 0.02, count, dtype=torch.float64)
    return betas.clamp(max=MAX_BETA)


def _cosine_betas(count: int) -> Float64[Tensor, " s"]:
    """Nichol and Dhariwal, 2021, equation 17, with s = 0.008."""
    u = torch.arange(count + 1, dtype=torch.float64) / count
    signal = ((u + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (1 - signal[1:] / signal[:-1]).clamp(max=MAX_BETA)


def _with_zero_terminal_snr(alphas_cumprod: Float64[Tensor, " s"]) -> Float64[Tensor, " s"]:
    """Lin et al., 2023, Common Diffusion Noise Schedules and Sample Steps are Flawed, algorithm 1.

    sqrt(a_t) is shifted so that the last is 0, exactly, and scaled so that the first is as before.
    """
    scales = alphas_cumprod.sqrt()
    first, last = scales[0], scales[-1]
    return ((scales - last) * (first / (first - last))).square()
