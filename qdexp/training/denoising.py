"""The diffusion objective: predict the clean latents, or what they follow from."""

# pyright: basic

from torch import nn
from torch.nn import functional

from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.training.batches import Batch
from qdexp.training.learner import Losses


def denoising_losses(
    forward: nn.Module,
    parametrisation: Parametrisation,
    batch: Batch,
    quantization_weight: float,
) -> Losses:
    """Returns MSE(output, target) + quantization_weight * vq_loss, and its parts.

    The target is x_0, unless the network predicts the noise or v.
    """
    x_t = parametrisation.schedule.add_noise(batch.x_0, batch.noise, batch.t)
    prediction = forward(x_t, batch.t)
    target = parametrisation.target(batch.x_0, batch.noise, batch.t)
    denoising_loss = functional.mse_loss(prediction.output.to(target.dtype), target)
    loss = denoising_loss + quantization_weight * prediction.vq_loss
    parts = {
        "train.loss": loss,
        "train.denoising_loss": denoising_loss,
        "train.vq_loss": prediction.vq_loss,
        "train.commitment_loss": prediction.commitment_loss,
        "train.codebook_loss": prediction.codebook_loss,
    }
    return Losses(loss=loss, parts=parts, statistics=prediction.statistics)
