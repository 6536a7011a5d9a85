"""The DMD objective on the small model."""

from typing import Any

import torch

from qdexp.training.learner import Learner
from qdexp.training.training_state import TrainingState

DMD: dict[str, Any] = {
    "training__objective": "dmd",
    "diffusion__sampling_steps": 3,
    "distillation__fake_updates": 2,
}


def networks(state: TrainingState) -> tuple[TrainingState, Learner, torch.nn.Module]:
    assert state.fake is not None
    assert state.teacher is not None
    return state, state.fake, state.teacher
