"""What training changes: networks, optimizers, averages, and the number of steps done."""

# pyright: basic

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.model.predictor import QuantizedDiffusionPredictor, initial_deviation
from qdexp.training import randomness
from qdexp.training.learner import Learner, load_model
from qdexp.training.parallel import sharded_like, whole


@dataclass(kw_only=True)
class TrainingState:
    """A training between two optimizer steps.

    Args:
        learner: The network that is the result, its codebook included.
        micro_batch: Clips in one micro-batch; less than configured where memory ran out.
        average: Moving averages of its parameters by name, if wanted.
        fake: DMD's score of the student's own samples, if that is the objective.
        teacher: DMD's frozen network, if that is the objective.
        step: Optimizer steps done.
        fake_updates: Updates of the fake score done.
    """

    learner: Learner
    micro_batch: int
    average: dict[str, Tensor] | None = None
    fake: Learner | None = None
    teacher: QuantizedDiffusionPredictor | None = None
    step: int = 0
    fake_updates: int = 0

    @property
    def model(self) -> QuantizedDiffusionPredictor:
        """The network that is the result."""
        return self.learner.model

    def tensors(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps, whole; all processes must ask."""
        average = self.average
        return {
            "learner": self.learner.tensors(),
            "average": average and {name: whole(value).cpu() for name, value in average.items()},
            "fake": self.fake and self.fake.tensors(),
            "step": self.step,
            "fake_updates": self.fake_updates,
        }

    @torch.no_grad()
    def load(self, tensors: dict[str, Any]) -> None:
        """Becomes the state whose `tensors` these are."""
        self.learner.load(tensors["learner"])
        if self.fake is not None:
            self.fake.load(tensors["fake"])
        for name, value in (self.average or {}).items():
            value.copy_(sharded_like(value, tensors["average"][name]))
        self.step = tensors["step"]
        self.fake_updates = tensors["fake_updates"]

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Moves the averages towards the parameters, faster in the first steps."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, parameter in self.model.named_parameters():
            assert self.average is not None, "averages are wanted"
            self.average[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def averaged(self) -> Generator[QuantizedDiffusionPredictor]:
        """Lends the network with its averaged parameters, if there are any: what is measured."""
        if self.average is None:
            yield self.model
            return
        parameters = dict(self.model.named_parameters())
        trained = {name: p.detach().clone() for name, p in parameters.items()}
        _assign(parameters, self.average)
        try:
            yield self.model
        finally:
            _assign(parameters, trained)


@torch.no_grad()
def _assign(parameters: dict[str, torch.nn.Parameter], values: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def result_tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """Returns the network that a checkpoint's `state` is about: averaged where there are averages.

    Codebooks are not averaged: they are averages already.
    """
    return state["learner"]["model"] | (state["average"] or {})


def initial_model(
    config: Configuration, seed: int, device: torch.device
) -> QuantizedDiffusionPredictor:
    """Returns an untrained network whose initial values depend on `seed` and names only."""
    model = QuantizedDiffusionPredictor(config.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            initial = initial_deviation(name, parameter)
            values = randomness.initial_values(seed, name=name, shape=tuple(parameter.shape))
            parameter.copy_(initial * values)
    tokens = config.tokens_per_clip * config.clips_per_step
    model.quantizer.initialise(
        lambda codebook, shape: randomness.initial_codes(seed, codebook=codebook, shape=shape),
        tokens / config.model.num_embeddings,
    )
    return model.to(device, torch.float64 if config.training.precision == "fp64" else None)


def copied_model(
    tensors: dict[str, Tensor], config: Configuration, seed: int, device: torch.device
) -> QuantizedDiffusionPredictor:
    """Returns a network with a trained one's values, wherever both have a value of that name."""
    model = initial_model(config, seed, device)
    own = model.state_dict()
    kept = {n: v for n, v in tensors.items() if n in own and not n.startswith("quantizer.")}
    load_model(model, {name: value.cpu() for name, value in own.items()} | kept)
    return model


def num_parameters(model: QuantizedDiffusionPredictor) -> int:
    """Returns how many numbers are trained: parameters, and values of codes."""
    trained = sum(parameter.numel() for parameter in model.parameters())
    return trained + model.quantizer.num_values
