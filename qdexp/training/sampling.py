"""Samples of a network, by the sampler that its objective trains it for.

Their noise depends on a seed, the sample's number and the call only: all conditions of an
experiment start from the same, so that their samples are paired.
"""

# pyright: basic

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.diffusion.ddim import ddim_sample, trailing_timesteps
from qdexp.diffusion.distribution_matching import few_step_sample
from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.model.predictor import Prediction, QuantizedDiffusionPredictor
from qdexp.training import randomness
from qdexp.training.course import Course

CLIPS_AT_ONCE = 16

Watch = Callable[[int, Prediction], None]
"""Sees the network's call, from 0, and what it predicted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampler:
    """A network, and how samples are made with it.

    Args:
        model: The network.
        parametrisation: The forward process and what the network predicts, on its device.
        timesteps: Of the network's calls, falling, on its device.
        is_few_step: Whether noise is added anew after every call, as a distilled student is made
            for, or DDIM leads from one call to the next.
        eta: DDIM's: 0 is deterministic.
        shape: Of a sample (c, t, h, w).
        dtype: Of the samples.
        seed: Which noise.
    """

    model: QuantizedDiffusionPredictor
    parametrisation: Parametrisation
    timesteps: Tensor
    is_few_step: bool
    eta: float
    shape: tuple[int, int, int, int]
    dtype: torch.dtype = torch.float32
    seed: int = 0

    @staticmethod
    def of(
        model: QuantizedDiffusionPredictor, config: Configuration, parametrisation: Parametrisation
    ) -> "Sampler":
        """Returns the sampler that a configuration describes."""
        diffusion = config.diffusion
        timesteps = trailing_timesteps(
            diffusion.sampling_steps, diffusion.min_step, diffusion.max_step
        )
        return Sampler(
            model=model,
            parametrisation=parametrisation,
            timesteps=timesteps.to(parametrisation.schedule.alphas_cumprod.device),
            is_few_step=config.training.objective == "dmd",
            eta=diffusion.sampling_eta,
            shape=config.latent_shape,
            dtype=torch.float64 if config.training.precision == "fp64" else torch.float32,
        )

    @property
    def steps(self) -> list[int]:
        """The timesteps as numbers."""
        return self.timesteps.tolist()

    @torch.no_grad()
    def sample(self, clips: range, watch: Watch | None = None) -> Tensor:
        """Returns the samples of these numbers (n, c, t, h, w).

        The last bits of one depend on how many are made with it.
        """
        self.model.eval()
        call = -1

        def predict_x0(x_t: Tensor, t: Tensor) -> Tensor:
            nonlocal call
            call += 1
            prediction = self.model(x_t, t)
            if watch is not None:
                watch(call, prediction)
            return self.parametrisation.x0_from_output(prediction.output, x_t, t)

        def noise(call: int) -> Tensor:
            return self._noise(clips, call)

        schedule = self.parametrisation.schedule
        if self.is_few_step:
            return few_step_sample(predict_x0, schedule, self.timesteps, noise)
        return ddim_sample(
            predict_x0,
            schedule,
            self.timesteps,
            noise(0),
            eta=self.eta,
            step_noise=lambda step: noise(step + 1),
        )

    def warm_up(self, num_clips: int) -> None:
        """Calls the network once on as many clips: what happens once happens here."""
        with torch.no_grad():
            self.model.eval()
            self.model(self._noise(range(num_clips), 0), self.timesteps[:1].expand(num_clips))

    def _noise(self, clips: range, call: int) -> Tensor:
        drawn = [
            randomness.sampling_noise(self.seed, clip=clip, call=call, shape=self.shape)
            for clip in clips
        ]
        return torch.stack(drawn).to(self.timesteps.device, self.dtype)


def sampled_latents(model: QuantizedDiffusionPredictor, course: Course, count: int) -> Tensor:
    """Returns `count` samples (n, c, t, h, w): DDIM's, or a distilled student's few steps."""
    sampler = Sampler.of(model, course.config, course.parametrisation)
    starts = range(0, count, CLIPS_AT_ONCE)
    return torch.cat(
        [sampler.sample(range(start, min(start + CLIPS_AT_ONCE, count))) for start in starts]
    )
