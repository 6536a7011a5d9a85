"""The DMD objective: a few-step student whose samples are moved to where its teacher's lie.

Each step the fake score learns the student's samples for `distillation.fake_updates` updates of its
own; then the student is moved once by the difference of both scores. Only the call of the student
that is differentiated says anything about its codebook.
"""

# pyright: basic

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from qdexp.diffusion.ddim import ddim_sample, trailing_timesteps
from qdexp.diffusion.distribution_matching import few_step_input, matching_gradient, matching_loss
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.training import randomness
from qdexp.training.batches import Batch
from qdexp.training.course import Course
from qdexp.training.denoising import denoising_losses
from qdexp.training.learner import Learner, Losses
from qdexp.training.parallel import Ranks
from qdexp.training.train_step import descend, dropout_masks, finish_step
from qdexp.training.training_state import TrainingState

REGRESSION_STEPS = 16
"""DDIM steps of the teacher's samples that `distillation.regression_weight` pulls towards."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What is drawn for one batch of the student's samples.

    Args:
        noises: For each call of the student (calls, b, c, t, h, w); the last is differentiated.
        noise: Added to the sample before it is judged (b, c, t, h, w).
        t: The timestep at which it is judged (b,).
    """

    noises: Tensor
    noise: Tensor
    t: Tensor

    def split(self, size: int, ranks: Ranks) -> tuple["Draws", ...]:
        """Returns this process's rows of every micro-batch of `size` clips."""
        parts = zip(
            self.noises.split(size, dim=1), self.noise.split(size), self.t.split(size), strict=True
        )
        rows = ranks.rows(size)
        return tuple(Draws(noises=n[:, rows], noise=e[rows], t=t[rows]) for n, e, t in parts)


def dmd_step(state: TrainingState, course: Course) -> dict[str, float]:
    """Takes one step of the DMD objective and returns what it measured.

    The fake score's updates are counted, so that a step that ran out of memory between two of them
    goes on where it was.

    Raises:
        DivergedError: A loss or a gradient is not finite; the student is as before the step.
    """
    fake = state.fake
    assert fake is not None, "the objective is dmd"
    measured: dict[str, float] = {}
    due = (state.step + 1) * course.config.distillation.fake_updates
    while state.fake_updates < due:
        measured |= _update_fake(state, course, fake)
        state.fake_updates += 1
    return measured | _update_student(state, course)


def _update_fake(state: TrainingState, course: Course, fake: Learner) -> dict[str, float]:
    """Teaches the fake score the student's samples, over the denoiser's whole trained range."""
    diffusion = course.config.diffusion
    trained = (diffusion.min_step, diffusion.max_step)
    parts = _draws(course, f"fake/{state.fake_updates}", trained).split(
        state.micro_batch, course.ranks
    )
    state.model.eval()
    fake.model.train()

    def losses(part: Draws) -> Losses:
        with torch.no_grad():
            x_t, t = _student_input(state, course, part)
            sample = _predict_x0(state.model, course, x_t, t)
        batch = Batch(x_0=sample.to(course.dtype), noise=part.noise, t=part.t)
        found = denoising_losses(fake.forward, course.parametrisation, batch, 0.0)
        return Losses(
            loss=found.loss, parts={"train.fake_loss": found.loss}, statistics=found.statistics
        )

    with dropout_masks(course, f"fake/{state.fake_updates}"):
        gradients = fake.gradients(parts, losses)
    rate = course.config.distillation.fake_learning_rate or course.config.learning_rate
    measured, _ = descend(fake, gradients, rate, course, state.step)
    return measured


def _update_student(state: TrainingState, course: Course) -> dict[str, float]:
    learner = state.learner
    parts = _draws(course, f"student/{state.step}", course.config.score_range).split(
        state.micro_batch, course.ranks
    )

    def losses(part: Draws) -> Losses:
        learner.model.eval()
        x_t, t = _student_input(state, course, part)
        learner.model.train()
        prediction = learner.forward(x_t, t)
        x = course.parametrisation.x0_from_output(prediction.output, x_t, t)
        matching = matching_loss(x, _gradient(state, course, x, part))
        regression = _regression_loss(state, course, x, part)
        distillation = course.config.distillation
        loss = (
            matching
            + course.config.training.quantization_weight * prediction.vq_loss
            + distillation.regression_weight * regression
        )
        measured = {
            "train.loss": loss,
            "train.dmd_loss": matching,
            "train.vq_loss": prediction.vq_loss,
            "train.commitment_loss": prediction.commitment_loss,
            "train.codebook_loss": prediction.codebook_loss,
        }
        if distillation.regression_weight:
            measured["train.regression_loss"] = regression
        return Losses(loss=loss, parts=measured, statistics=prediction.statistics)

    with dropout_masks(course, state.step):
        gradients = learner.gradients(parts, losses)
    return finish_step(state, course, gradients, micro_batches=len(parts))


@torch.no_grad()
def _gradient(state: TrainingState, course: Course, x: Tensor, part: Draws) -> Tensor:
    """Returns the direction from where the teacher would have the samples to where they are."""
    assert state.teacher is not None, "the objective is dmd"
    assert state.fake is not None, "the objective is dmd"
    state.fake.model.eval()
    x_t = course.parametrisation.schedule.add_noise(x.to(course.dtype), part.noise, part.t)
    real, fake = (
        _predict_x0(model, course, x_t, part.t) for model in (state.teacher, state.fake.model)
    )
    return matching_gradient(x, real, fake)


def _regression_loss(state: TrainingState, course: Course, x: Tensor, part: Draws) -> Tensor:
    """Returns the distance to the teacher's sample of the same noise, where `x` came of noise."""
    is_wanted = course.config.distillation.regression_weight > 0
    if not is_wanted or len(part.noises) > 1:
        return x.new_zeros(())
    teacher, diffusion = state.teacher, course.config.diffusion
    assert teacher is not None, "the objective is dmd"
    count = min(REGRESSION_STEPS, diffusion.max_step - diffusion.min_step + 1)
    timesteps = trailing_timesteps(count, diffusion.min_step, diffusion.max_step)
    with torch.no_grad():
        target = ddim_sample(
            lambda x_t, t: _predict_x0(teacher, course, x_t, t),
            course.parametrisation.schedule,
            timesteps.to(course.device),
            part.noises[0],
        )
    return functional.mse_loss(x, target.to(x.dtype))


def _student_input(state: TrainingState, course: Course, part: Draws) -> tuple[Tensor, Tensor]:
    """Returns what the student meets at its last call, as it does when it samples."""
    return few_step_input(
        lambda x_t, t: _predict_x0(state.model, course, x_t, t),
        course.parametrisation.schedule,
        course.sampling_timesteps,
        lambda call: part.noises[call],
        len(part.noises) - 1,
    )


def _predict_x0(
    model: QuantizedDiffusionPredictor, course: Course, x_t: Tensor, t: Tensor
) -> Tensor:
    return course.parametrisation.x0_from_output(model(x_t, t).output, x_t, t)


def _draws(course: Course, key: str, judged: tuple[int, int]) -> Draws:
    """Returns the noise and timesteps of a whole batch, a function of seed and `key`.

    Args:
        course: The training.
        key: Whose batch it is, and which.
        judged: Least and greatest timestep at which samples are judged, both inclusive.
    """
    config, seed = course.config, course.seed
    call = randomness.student_call(seed, key=key, num_calls=config.diffusion.sampling_steps)
    shape = (config.clips_per_step, *config.latent_shape)
    noises = [
        randomness.distillation_noise(seed, key=f"{key}/{n}", shape=shape) for n in range(call + 1)
    ]
    noise = randomness.distillation_noise(seed, key=f"{key}/judged", shape=shape)
    t = randomness.distillation_timesteps(seed, key=key, batch=config.clips_per_step, judged=judged)
    return Draws(
        noises=torch.stack(noises).to(course.device, course.dtype),
        noise=noise.to(course.device, course.dtype),
        t=t.to(course.device),
    )
