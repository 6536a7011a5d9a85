"""The start of an attempt: networks as they begin, or as a checkpoint has them."""

# pyright: basic

import math
import os
from pathlib import Path

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.errors import CheckpointError, ConfigurationError
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.training import checkpoint, randomness
from qdexp.training.course import Course
from qdexp.training.learner import Learner, make_learner
from qdexp.training.parallel import Ranks, share_parameters
from qdexp.training.training_state import (
    TrainingState,
    copied_model,
    initial_model,
    result_tensors,
)

CLUSTERED = ("ema", "cosine")
"""Quantizers whose codes can start at clusters."""

TOKENS_PER_CODE = 2
"""Untrained tokens for each code that k-means starts."""


def computing_device(config: Configuration) -> torch.device:
    """Returns where to compute, made to repeat its numbers."""
    torch.set_num_threads(config.training.num_threads)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Where an operation has no such algorithm a warning says so: better than no result.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda", torch.cuda.current_device())


def check_ranks(config: Configuration, ranks: Ranks) -> None:
    """Accepts to share a training among processes.

    Raises:
        ConfigurationError: A micro-batch cannot be divided, or fp16 would need other gradients.
    """
    if config.training.batch_size % ranks.world_size:
        raise ConfigurationError(
            f"training.batch_size: expected a multiple of the {ranks.world_size} processes, found "
            f"{config.training.batch_size}"
        )
    if ranks.world_size > 1 and (config.training.parallelism, config.training.precision) == (
        "fsdp",
        "fp16",
    ):
        raise ConfigurationError(
            "training.precision: expected bf16 or fp32 with fsdp, found fp16: each process would "
            "judge alone whether its share of the gradient overflowed"
        )


def initial_state(course: Course, teacher: Path | None = None) -> TrainingState:
    """Returns a training before its first step.

    Args:
        course: What the training is.
        teacher: The final checkpoint of DMD's teacher, whose weights student and fake start with.

    Raises:
        CheckpointError: The teacher is not there, or damaged.
    """
    config = course.config
    if config.training.objective == "dmd":
        return _distilling_state(course, _teacher_tensors(teacher))
    return _state(course, initial_model(config, course.seed, course.device))


def _state(course: Course, model: QuantizedDiffusionPredictor) -> TrainingState:
    config = course.config
    is_dmd = config.training.objective == "dmd"
    learner = _learner(course, model, config.distillation.betas if is_dmd else (0.9, 0.999))
    average = None
    if config.training.ema_weights_decay is not None:
        average = {name: p.detach().clone() for name, p in model.named_parameters()}
    return TrainingState(learner=learner, micro_batch=config.training.batch_size, average=average)


def _distilling_state(course: Course, tensors: dict[str, Tensor]) -> TrainingState:
    """Returns student, fake score and teacher, all with the teacher's weights.

    Only the student quantizes: the others judge samples, and are no noise of code flips.
    """
    config = course.config
    unquantized = config.replace({"model.quantizer": "none"})
    student, fake, teacher = (
        copied_model(tensors, each, course.seed, course.device)
        for each in (config, unquantized, unquantized)
    )
    state = _state(course, student)
    state.learner.rate_field = "distillation.learning_rate"
    state.fake = _learner(course, fake, config.distillation.betas)
    state.fake.rate_field = "distillation.fake_learning_rate"
    state.teacher = teacher.requires_grad_(False).eval()
    return state


def _learner(
    course: Course, model: QuantizedDiffusionPredictor, betas: tuple[float, float]
) -> Learner:
    training = course.config.training
    model.checkpoint_activations = training.activation_checkpointing
    if training.compile:
        model.compile_blocks()
    forward = share_parameters(model, course.ranks, training.parallelism)
    return make_learner(model, forward, training, betas=betas)


def _teacher_tensors(teacher: Path | None) -> dict[str, Tensor]:
    if teacher is None:
        raise CheckpointError(
            "expected the final checkpoint of a teacher for training.objective dmd, found none; "
            "`qdexp run` and `qdexp train` train it first"
        )
    try:
        return result_tensors(checkpoint.read(teacher).state)
    except CheckpointError as error:
        raise CheckpointError(
            f"{teacher.parent}: expected a teacher, found that {error}; the same command trains it "
            "again"
        ) from error


@torch.no_grad()
def cluster_codebook(state: TrainingState, course: Course) -> None:
    """Starts the codebook at clusters of the tokens before training, if that is configured."""
    config, model = course.config, state.model
    if config.model.codebook_init != "kmeans" or config.model.quantizer not in CLUSTERED:
        return
    per_step = config.tokens_per_clip * config.clips_per_step
    num_batches = math.ceil(TOKENS_PER_CODE * config.model.num_embeddings / per_step)
    model.eval()
    tokens: list[Tensor] = []
    for step in range(num_batches):
        batch = course.batch(step)
        x_t = course.parametrisation.schedule.add_noise(batch.x_0, batch.noise, batch.t)
        for x, t in zip(
            x_t.split(state.micro_batch), batch.t.split(state.micro_batch), strict=True
        ):
            tokens.append(model.tokens(model.features(x, t)).flatten(0, -2))
    order = randomness.clustered_order(course.seed, num_tokens=num_batches * per_step)
    model.quantizer.cluster(
        torch.cat(tokens), order.to(course.device), per_step / config.model.num_embeddings
    )
