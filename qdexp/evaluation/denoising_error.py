"""The error of pred_x0 on held-out clips, for every clip at every noise level.

Levels are evenly spaced in log-SNR: on a plain grid of timesteps half of a mean is noise at which
nothing can be predicted. Axes: l levels, n clips, c channels, t frames, h rows, w columns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.diffusion.schedule import NoiseSchedule
from qdexp.model.predictor import QuantizedDiffusionPredictor

LEAST_LOG_SNR, GREATEST_LOG_SNR = -4.0, 5.0
"""From hardly any signal to hardly any noise."""


@dataclass(frozen=True, kw_only=True)
class NoiseLevels:
    """The noise levels of a measurement.

    Args:
        log_snr: The wanted levels, rising: from most noise to least.
        timesteps: The schedule's timestep nearest to each.
    """

    log_snr: Float64[Tensor, " l"]
    timesteps: Int[Tensor, " l"]

    def evenly_chosen(self, count: int) -> "NoiseLevels":
        """Returns `count` of the levels, from the first to the last; of one, the middle."""
        last = len(self.log_snr) - 1
        rows = torch.linspace(0, last, count) if count > 1 else torch.tensor([last / 2])
        rows = rows.round().long()
        return NoiseLevels(log_snr=self.log_snr[rows], timesteps=self.timesteps[rows])


@dataclass(frozen=True, kw_only=True)
class HeldOutClips:
    """Clips that were not trained on.

    Args:
        latents: The clean latents.
        noise: One noise for each clip, the same at every level.
        decode: Latents to pixels in 0..1, linear.
    """

    latents: Float[Tensor, "n c t h w"]
    noise: Float[Tensor, "n c t h w"]
    decode: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class DenoisingErrors:
    """Mean squared errors, and the codes behind them.

    Args:
        sampled: Of pred_x0, on the path that sampling takes.
        quantized: Through the codes; the same, unless the quantizer is placed at the output.
        unquantized: With the quantizer bypassed.
        pixels: Of the decoded pred_x0 against the decoded clean latent.
        indices: The codes of every token: clip by clip, level by level, frame, row, column.
    """

    sampled: Float64[Tensor, "l n"]
    quantized: Float64[Tensor, "l n"]
    unquantized: Float64[Tensor, "l n"]
    pixels: Float64[Tensor, "l n"]
    indices: Int[Tensor, "n l tokens q"]


def noise_levels(schedule: NoiseSchedule, num_levels: int) -> NoiseLevels:
    """Returns levels evenly spaced in log-SNR, and the schedule's timesteps for them."""
    wanted = torch.linspace(LEAST_LOG_SNR, GREATEST_LOG_SNR, num_levels, dtype=torch.float64)
    wanted = wanted.to(schedule.alphas_cumprod.device)
    return NoiseLevels(log_snr=wanted, timesteps=schedule.timesteps_nearest_to(wanted))


@torch.no_grad()
def denoising_errors(
    model: QuantizedDiffusionPredictor,
    parametrisation: Parametrisation,
    levels: NoiseLevels,
    clips: HeldOutClips,
) -> DenoisingErrors:
    """Returns the error of every clip at every level; the model is left in evaluation mode.

    One clip at all levels is a batch, so that the memory is one clip's whatever their number.
    """
    model.eval()
    errors: list[Float64[Tensor, "4 l"]] = []
    indices: list[Int[Tensor, "l tokens q"]] = []
    t = levels.timesteps
    for x_0, noise in zip(clips.latents, clips.noise, strict=True):
        every = (len(t), *x_0.shape)
        x_t = parametrisation.schedule.add_noise(x_0.expand(every), noise.expand(every), t)
        z = model.features(x_t, t)
        prediction = model.decide(z)
        sampled, quantized, unquantized = (
            parametrisation.x0_from_output(output, x_t, t)
            for output in (prediction.output, prediction.quantized_output, model.bypass(z))
        )
        differences = (
            sampled - x_0,
            quantized - x_0,
            unquantized - x_0,
            clips.decode(sampled) - clips.decode(x_0[None]),
        )
        errors.append(torch.stack([_mean_square(each) for each in differences]))
        indices.append(prediction.indices.flatten(1, 3))
    sampled, quantized, unquantized, pixels = torch.stack(errors, dim=-1).cpu()
    return DenoisingErrors(
        sampled=sampled,
        quantized=quantized,
        unquantized=unquantized,
        pixels=pixels,
        indices=torch.stack(indices).cpu(),
    )


def _mean_square(difference: Float[Tensor, "l ..."]) -> Float64[Tensor, " l"]:
    return difference.double().square().flatten(1).mean(dim=1)
