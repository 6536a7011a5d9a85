"""A network that is trained: its weights, its optimizer, and how its gradients are taken."""

# pyright: basic

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from qdexp.config.training_config import TrainingConfig
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.model.quantizers.quantization import CodeStatistics
from qdexp.training.parallel import gradient_sync, sharded_like, whole

Part = TypeVar("Part")
"""What an objective makes of a micro-batch."""

Precision = Literal["fp32", "bf16", "fp16", "fp64"]

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The losses of a micro-batch, each a mean.

    Args:
        loss: What is minimised.
        parts: What it is made of, and whatever else is recorded, by metric.
        statistics: What the tokens say about the codebook.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    statistics: CodeStatistics


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """What the micro-batches of a step left behind, beside the gradients themselves."""

    parts: dict[str, Tensor]
    statistics: CodeStatistics


@dataclass(kw_only=True)
class Learner:
    """A network, its optimizer, and the scale of its losses.

    Args:
        model: The network itself.
        forward: What is called in training: the network, or what shares it among processes.
        optimizer: AdamW with its moments.
        scaler: Keeps fp16's gradients from vanishing; does nothing otherwise.
        precision: Of the computation.
        rate_field: The configuration's field that its learning rate is in.
    """

    model: QuantizedDiffusionPredictor
    forward: nn.Module
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    precision: Precision
    rate_field: str = "training.learning_rate"

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def autocast(self) -> torch.autocast:
        """Returns the context of a forward pass in the configured precision."""
        dtype = _AUTOCAST.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def gradients(self, parts: Sequence[Part], losses_of: Callable[[Part], Losses]) -> Gradients:
        """Takes the gradients of the mean loss over micro-batches of equal size."""
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        statistics: CodeStatistics | None = None
        share = 1 / len(parts)
        for number, part in enumerate(parts, start=1):
            with gradient_sync(self.forward, is_last=number == len(parts)):
                with self.autocast():
                    losses = losses_of(part)
                self.scaler.scale(share * losses.loss).backward()
            for name, value in losses.parts.items():
                totals[name] = totals.get(name, 0) + share * value.detach()
            statistics = statistics + losses.statistics if statistics else losses.statistics
        assert statistics is not None, "a batch has at least one micro-batch"
        return Gradients(parts=totals, statistics=statistics)

    def clip(self, max_norm: float) -> float:
        """Scales the gradients down to an L2 norm of at most `max_norm`; returns what it was."""
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), max_norm)
        return whole(norm).item()

    def descend(self, learning_rate: float) -> None:
        """Takes the optimizer's step; the scaler leaves it out where fp16 overflowed."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def tensors(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps, whole and on the CPU; all processes must ask."""
        moments = {
            name: {key: whole(value).cpu() for key, value in self.optimizer.state[p].items()}
            for name, p in self.model.named_parameters()
            if p in self.optimizer.state
        }
        model = {name: whole(value).cpu() for name, value in self.model.state_dict().items()}
        return {"model": model, "moments": moments, "scaler": self.scaler.state_dict()}

    @torch.no_grad()
    def load(self, tensors: dict[str, Any]) -> None:
        """Becomes the learner whose `tensors` these are."""
        load_model(self.model, tensors["model"])
        for name, parameter in self.model.named_parameters():
            moments = tensors["moments"].get(name)
            if moments is not None:
                self.optimizer.state[parameter] = {
                    key: sharded_like(parameter, value.clone()) for key, value in moments.items()
                }
        self.scaler.load_state_dict(tensors["scaler"])


@torch.no_grad()
def load_model(model: QuantizedDiffusionPredictor, tensors: dict[str, Tensor]) -> None:
    """Copies whole tensors into a network, into its shards if it has any."""
    for name, value in model.state_dict().items():
        value.copy_(sharded_like(value, tensors[name]))


def make_learner(
    model: QuantizedDiffusionPredictor,
    forward: nn.Module,
    config: TrainingConfig,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Learner:
    """Returns a learner whose AdamW decays weight matrices only.

    Biases, scales, positions and codes are no matrices: they would be drawn to zero for no gain.
    """
    decayed = {name for name, p in model.named_parameters() if is_matrix(name, p)}
    groups = [
        {
            "params": [p for name, p in model.named_parameters() if name in decayed],
            "weight_decay": config.weight_decay,
        },
        {
            "params": [p for name, p in model.named_parameters() if name not in decayed],
            "weight_decay": 0.0,
        },
    ]
    device = next(model.parameters()).device
    return Learner(
        model=model,
        forward=forward,
        optimizer=torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True),
        scaler=torch.amp.GradScaler(device.type, enabled=config.precision == "fp16"),
        precision=config.precision,
    )


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Tells whether a parameter maps one space to another, and so is decayed."""
    return parameter.ndim > 1 and not name.endswith(("positions", "codebook"))
