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
        alphas_cumprod: Share of the signal's variance that is left after each timestep, falling.
    """

    alphas_cumprod: Float64[Tensor, " s"]

    def to(self, device: torch.device) -> "NoiseSchedule":
        """Returns the same schedule on another device."""
        return NoiseSchedule(alphas_cumprod=self.alphas_cumprod.to(device))

    def add_noise(
        self, x_0: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], t: Int[Tensor, " b"]
    ) -> Float[Tensor, "b ..."]:
        """Returns x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise (Ho et al., 2020, equation 4)."""
        share = self.alphas_cumprod[t].reshape(-1, *[1] * (x_0.ndim - 1))
        return share.sqrt().to(x_0.dtype) * x_0 + (1 - share).sqrt().to(x_0.dtype) * noise

    def log_snr(self) -> Float64[Tensor, " s"]:
        """Returns log(a_t / (1 - a_t)), the logarithm of the signal-to-noise ratio, falling."""
        return torch.logit(self.alphas_cumprod)

    def timesteps_nearest_to(self, log_snr: Float64[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Returns for each wanted log-SNR the timestep whose own is nearest to it."""
        return (self.log_snr() - log_snr[:, None]).abs().argmin(dim=1)


def noise_schedule(kind: Literal["linear", "cosine"], num_train_timesteps: int) -> NoiseSchedule:
    """Returns the schedule that a configuration names, computed in float64."""
    betas = _linear_betas if kind == "linear" else _cosine_betas
    return NoiseSchedule(alphas_cumprod=(1 - betas(num_train_timesteps)).cumprod(0))


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
