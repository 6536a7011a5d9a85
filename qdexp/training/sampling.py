"""Samples of a network, by the sampler that its objective trains it for.

Their noise depends on the sample's number and the call only: all conditions and seeds start from
the same, so that their samples are paired.
"""

# pyright: basic

import torch
from torch import Tensor

from qdexp.diffusion.ddim import ddim_sample
from qdexp.diffusion.distribution_matching import few_step_sample
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.training import randomness
from qdexp.training.course import Course

CLIPS_AT_ONCE = 16


@torch.no_grad()
def sampled_latents(model: QuantizedDiffusionPredictor, course: Course, count: int) -> Tensor:
    """Returns `count` samples (n, c, t, h, w): DDIM's, or a distilled student's few steps."""
    model.eval()
    starts = range(0, count, CLIPS_AT_ONCE)
    return torch.cat(
        [
            _sample(model, course, range(start, min(start + CLIPS_AT_ONCE, count)))
            for start in starts
        ]
    )


def _sample(model: QuantizedDiffusionPredictor, course: Course, clips: range) -> Tensor:
    parametrisation, config = course.parametrisation, course.config

    def predict_x0(x_t: Tensor, t: Tensor) -> Tensor:
        return parametrisation.x0_from_output(model(x_t, t).output, x_t, t)

    def noise(call: int) -> Tensor:
        drawn = [
            randomness.sampling_noise(clip=clip, call=call, shape=config.latent_shape)
            for clip in clips
        ]
        return torch.stack(drawn).to(course.device, course.dtype)

    schedule, timesteps = parametrisation.schedule, course.sampling_timesteps
    if config.training.objective == "dmd":
        return few_step_sample(predict_x0, schedule, timesteps, noise)
    return ddim_sample(
        predict_x0,
        schedule,
        timesteps,
        noise(0),
        eta=config.diffusion.sampling_eta,
        step_noise=lambda step: noise(step + 1),
    )
