"""What stays the same through a training."""

# pyright: basic

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.diffusion.ddim import trailing_timesteps
from qdexp.diffusion.parametrisation import Parametrisation
from qdexp.diffusion.schedule import noise_schedule
from qdexp.training import randomness
from qdexp.training.batches import Batch, Batches
from qdexp.training.parallel import Ranks


@dataclass(frozen=True, kw_only=True)
class Course:
    """What stays the same through a training.

    Args:
        config: The trial's configuration.
        seed: The trial's seed.
        parametrisation: The forward process and what the network predicts, on the device.
        batches: The clean training latents of any step, with noise and timesteps.
        device: Where the networks are.
        ranks: Which process this is of those that share the training.
    """

    config: Configuration
    seed: int
    parametrisation: Parametrisation
    batches: Batches
    device: torch.device
    ranks: Ranks

    @property
    def dtype(self) -> torch.dtype:
        """The numbers of everything that is not autocast."""
        return torch.float64 if self.config.training.precision == "fp64" else torch.float32

    @property
    def sampling_timesteps(self) -> Tensor:
        """The timesteps at which a sample is predicted, falling, inside the trained range."""
        diffusion = self.config.diffusion
        return trailing_timesteps(
            diffusion.sampling_steps, diffusion.min_step, diffusion.max_step
        ).to(self.device)

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step, on the device."""
        return self.batches.take(step).to(self.device, self.dtype)


def make_course(
    config: Configuration, seed: int, clips: Tensor, device: torch.device, ranks: Ranks
) -> Course:
    """Returns the course of a training on `clips` (n, c, t, h, w), which may be memory mapped."""
    return Course(
        config=config,
        seed=seed,
        parametrisation=parametrisation_of(config, device),
        batches=Batches(
            lambda step: draw_batch(config, seed, clips, step),
            num_workers=config.training.num_workers,
        ),
        device=device,
        ranks=ranks,
    )


def parametrisation_of(config: Configuration, device: torch.device) -> Parametrisation:
    """Returns the forward process of a configuration, and what its network predicts."""
    diffusion = config.diffusion
    schedule = noise_schedule(
        diffusion.beta_schedule,
        diffusion.num_train_timesteps,
        zero_terminal_snr=diffusion.zero_terminal_snr,
    )
    return Parametrisation(schedule=schedule.to(device), prediction_type=diffusion.prediction_type)


def draw_batch(config: Configuration, seed: int, clips: Tensor, step: int) -> Batch:
    """Returns all clips of an optimizer step, a function of seed and step."""
    size = config.clips_per_step
    order = randomness.clip_indices(
        seed, step=step, batch=size, num_clips=len(clips), order=config.training.data_order
    )
    x_0 = clips[order]
    trained = (config.diffusion.min_step, config.diffusion.max_step)
    return Batch(
        x_0=x_0,
        noise=randomness.noise(seed, step=step, shape=tuple(x_0.shape)),
        t=randomness.timesteps(seed, step=step, batch=size, trained=trained),
    )


def learning_rate(config: Configuration, full: float, step: int) -> float:
    """Returns the rate of a step, from 0: linear warm-up to `full`, then constant or cosine."""
    training = config.training
    if step < training.warmup_steps:
        return full * (step + 1) / (training.warmup_steps + 1)
    if training.lr_schedule == "constant":
        return full
    done = (step - training.warmup_steps) / max(1, config.num_steps - training.warmup_steps)
    return full * 0.5 * (1 + math.cos(math.pi * done))
