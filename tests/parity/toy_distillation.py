"""A ring of eight modes whose teacher, student and fake score are small networks.

Each is distilled as `qdexp.training` does: a step of the student after some of the fake score.
"""

import copy
import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from qdexp.diffusion.distribution_matching import (
    few_step_input,
    matching_gradient,
    matching_loss,
)
from qdexp.diffusion.schedule import noise_schedule

SCHEDULE = noise_schedule("linear", 1000)
SCORE_RANGE = (20, 980)

NUM_MODES = 8
MODE_DEVIATION = 0.1
ANGLES = torch.arange(NUM_MODES) * (2 * math.pi / NUM_MODES)
MODES = math.sqrt(2) * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
"""On this radius each coordinate's variance is about 1."""

Fake = Literal["trained", "never trained", "absent"]


class Draws:
    """Random numbers, a function of the seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def integers(self, count: int, least: int, greatest: int) -> Tensor:
        return torch.randint(least, greatest + 1, (count,), generator=self._generator)


class ToyDenoiser(nn.Module):
    """Predicts x_0 of points in the plane."""

    frequencies: Tensor

    def __init__(self, draws: Draws) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2.0 ** torch.arange(-3, 3))
        widths = [2 + 2 * 6, 128, 128, 128, 2]
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        with torch.no_grad():
            for parameter in self.parameters():
                is_matrix = parameter.ndim > 1
                scale = (3 * parameter.shape[-1]) ** -0.5 if is_matrix else 0.0
                parameter.copy_(scale * draws.normal(*parameter.shape))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        share = SCHEDULE.alphas_cumprod[t].to(x_t.dtype)[:, None]
        phases = torch.logit(share) * self.frequencies
        hidden = torch.cat([x_t, phases.sin(), phases.cos()], 1)
        for layer in self.layers[:-1]:
            hidden = nn.functional.silu(layer(hidden))
        return share.sqrt() * x_t + (1 - share).sqrt() * self.layers[-1](hidden)


def ring(draws: Draws, count: int) -> Tensor:
    return MODES[draws.integers(count, 0, NUM_MODES - 1)] + MODE_DEVIATION * draws.normal(count, 2)


def ring_x0(x_t: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t] where x_0 is on the ring: each mode's own, weighted by the mode's posterior."""
    share = SCHEDULE.alphas_cumprod[t].to(x_t.dtype)[:, None]
    variance = share * MODE_DEVIATION**2 + 1 - share
    distance = x_t[:, None] - share.sqrt()[:, None] * MODES
    weights = (-distance.square().sum(2) / (2 * variance)).softmax(1)
    gain = share.sqrt() * MODE_DEVIATION**2 / variance
    return (weights[:, :, None] * (MODES + gain[:, None] * distance)).sum(1)


class Distillation:
    """A student and a fake score that start as their teacher."""

    batch = 256

    def __init__(self, teacher: ToyDenoiser, timesteps: Tensor, fake: Fake) -> None:
        self.teacher, self.timesteps, self.fake_is = teacher, timesteps, fake
        self.student = copy.deepcopy(teacher).requires_grad_()
        self.fake = copy.deepcopy(teacher).requires_grad_()
        self.draws = Draws(2)
        self.greatest_gradient = 0.0

    def run(self, num_steps: int) -> None:
        betas = (0.0, 0.999)
        student = torch.optim.Adam(self.student.parameters(), lr=5e-4, betas=betas)
        fake = torch.optim.Adam(self.fake.parameters(), lr=2e-3, betas=betas)
        for step in range(num_steps):
            for _ in range(5 if self.fake_is == "trained" else 0):
                descend(fake, self.fake_loss())
            student.param_groups[0]["lr"] = 5e-4 * (1 - step / num_steps)
            descend(student, self.student_loss())

    def noise(self, _call: int = 0) -> Tensor:
        return self.draws.normal(self.batch, 2)

    def sample(self) -> Tensor:
        num_calls = int(self.draws.integers(1, 0, len(self.timesteps) - 1))
        student_input = few_step_input(
            self.student, SCHEDULE, self.timesteps, self.noise, num_calls
        )
        return self.student(*student_input)

    def fake_loss(self) -> Tensor:
        with torch.no_grad():
            x = self.sample()
        t = self.draws.integers(self.batch, 0, 999)
        return nn.functional.mse_loss(self.fake(SCHEDULE.add_noise(x, self.noise(), t), t), x)

    def student_loss(self) -> Tensor:
        x = self.sample()
        t = self.draws.integers(self.batch, *SCORE_RANGE)
        with torch.no_grad():
            x_t = SCHEDULE.add_noise(x, self.noise(), t)
            fake_x0 = x if self.fake_is == "absent" else self.fake(x_t, t)
            gradient = matching_gradient(x, self.teacher(x_t, t), fake_x0)
        self.greatest_gradient = max(self.greatest_gradient, gradient.abs().max().item())
        return matching_loss(x, gradient)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, without bias (Szekely and Rizzo, 2013, equation 2.1)."""
    within = [torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (x, y)]
    return (2 * torch.cdist(x, y).mean() - within[0] - within[1]).item()
