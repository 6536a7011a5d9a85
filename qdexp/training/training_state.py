"""What training changes: the predictor, the optimizer, and the number of steps done."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from qdexp.config.configuration import Configuration
from qdexp.config.sections import TrainingConfig
from qdexp.model.predictor import QuantizedDiffusionPredictor, initial_deviation
from qdexp.training import randomness


@dataclass(kw_only=True)
class TrainingState:
    """A training between two optimizer steps.

    Args:
        model: The predictor, its codebook included.
        optimizer: AdamW with its moments.
        step: Optimizer steps done.
    """

    model: QuantizedDiffusionPredictor
    optimizer: torch.optim.AdamW
    step: int = 0

    def tensors(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load(self, tensors: dict[str, Any]) -> None:
        """Becomes the state whose `tensors` these are."""
        self.model.load_state_dict(tensors["model"])
        self.optimizer.load_state_dict(tensors["optimizer"])
        self.step = tensors["step"]


def initial_state(config: Configuration, seed: int, device: torch.device) -> TrainingState:
    """Returns an untrained predictor whose initial values depend on `seed` and names only."""
    model = QuantizedDiffusionPredictor(config.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = randomness.initial_values(seed, name=name, shape=tuple(parameter.shape))
            parameter.copy_(initial_deviation(name, parameter) * values)
    shape = (config.model.num_embeddings, config.model.embedding_dim)
    tokens = config.tokens_per_clip * config.clips_per_step
    model.quantizer.set_codebook(
        randomness.initial_codes(seed, shape=shape),
        cluster_size=tokens / config.model.num_embeddings,
    )
    model.to(device)
    return TrainingState(model=model, optimizer=_optimizer(model, config.training))


def num_parameters(model: QuantizedDiffusionPredictor) -> int:
    """Returns how many numbers are trained: parameters, and values of codes."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    return trained + model.quantizer.codebook.numel()


def _optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Returns AdamW that decays matrices only (biases would be drawn to zero for no gain)."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
