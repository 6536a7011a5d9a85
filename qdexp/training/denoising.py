"""The diffusion objective: predict the clean latents from noisy ones.

Axes: b clips of a batch, c channels, t frames, h rows, w columns.
"""

# pyright: basic

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from qdexp.diffusion.schedule import NoiseSchedule
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.model.vector_quantizer import CodeStatistics


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The clean latents (b, c, t, h, w) of a step, their noise and their timesteps (b,)."""

    x_0: Tensor
    noise: Tensor
    t: Tensor

    def split(self, size: int) -> tuple["Batch", ...]:
        """Returns micro-batches of `size` clips."""
        parts = zip(self.x_0.split(size), self.noise.split(size), self.t.split(size), strict=True)
        return tuple(Batch(x_0=x_0, noise=noise, t=t) for x_0, noise, t in parts)


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The losses of a batch, each a mean, and what its tokens say about the codebook."""

    loss: Tensor
    denoising_loss: Tensor
    vq_loss: Tensor
    statistics: CodeStatistics


def denoising_losses(
    model: QuantizedDiffusionPredictor,
    schedule: NoiseSchedule,
    batch: Batch,
    quantization_weight: float,
) -> Losses:
    """Returns MSE(pred_x0, x_0) + quantization_weight * vq_loss, and its parts."""
    prediction = model(schedule.add_noise(batch.x_0, batch.noise, batch.t), batch.t)
    denoising_loss = functional.mse_loss(prediction.pred_x0, batch.x_0)
    return Losses(
        loss=denoising_loss + quantization_weight * prediction.vq_loss,
        denoising_loss=denoising_loss,
        vq_loss=prediction.vq_loss,
        statistics=prediction.statistics,
    )
