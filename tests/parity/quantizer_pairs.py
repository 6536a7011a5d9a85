"""Tokens, and what a quantizer of ours and one of `vector_quantize_pytorch` are compared by."""

from typing import Any

import torch
import vector_quantize_pytorch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.model.quantizers.quantization import Quantizer

library: Any = vector_quantize_pytorch
"""Its types do not hold for its own attributes."""

STEPS, TOKENS, K, D = 50, 600, 64, 16
MARGIN = 2e-6
BETA, DECAY, THRESHOLD = 0.25, 0.9, 0.5
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-5}
"""Of numbers greater than 1, as sums of many tokens are, it is the relative difference."""


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drifting(step: int, count: int = TOKENS) -> Tensor:
    """Tokens around ten centres that drift, so that codes are used unevenly and some die."""
    centres = normal(10, D, seed=0) + step / STEPS * normal(10, D, seed=1)
    return 0.5 * centres[torch.arange(count) % 10] + 0.15 * normal(count, D, seed=100 + step)


def tokens_of(step: int, *codebooks: Tensor, unit_length: bool = False) -> Tensor:
    """The first tokens whose nearest codes float32 can tell from the next best.

    Of two codes at the same distance, up to rounding, neither library's choice is wrong.
    """
    tokens = drifting(step, TOKENS + 50)
    left, is_decided = tokens.double(), torch.ones(len(tokens), dtype=torch.bool)
    if unit_length:
        left = left / left.norm(dim=1, keepdim=True)
    for codebook in codebooks:
        distances = torch.cdist(left, codebook.detach().double()).square()
        nearest, next_best = distances.topk(2, dim=1, largest=False).values.unbind(dim=1)
        is_decided &= next_best - nearest > MARGIN
        left = left - codebook[distances.argmin(dim=1)]
    assert is_decided.sum() >= TOKENS
    return tokens[is_decided][:TOKENS]


def configured(kind: str, estimator: str = "straight_through", **fields: float) -> ModelConfig:
    return ModelConfig.model_validate(
        {
            "quantizer": kind,
            "gradient_estimator": estimator,
            "num_embeddings": K,
            "commitment_cost": BETA,
            "ema_decay": DECAY,
        }
        | fields
    )


def copy_averages(ours: Quantizer, theirs: Any) -> None:  # noqa: ANN401 - see `library`
    assert isinstance(ours, MovingAverageQuantizer)
    ours.codebook.copy_(theirs._codebook.embed[0])
    ours.code_sums.copy_(theirs._codebook.embed_avg[0])
    ours.cluster_size.copy_(theirs._codebook.cluster_size[0])


def assert_equal_averages(ours: Quantizer, theirs: Any) -> None:  # noqa: ANN401 - see `library`
    assert isinstance(ours, MovingAverageQuantizer)
    torch.testing.assert_close(ours.codebook, theirs._codebook.embed[0], **CLOSE)
    torch.testing.assert_close(ours.code_sums, theirs._codebook.embed_avg[0], **CLOSE)
    torch.testing.assert_close(ours.cluster_size, theirs._codebook.cluster_size[0], **CLOSE)


def gradients_of(
    z_q: Tensor, loss: Tensor, z: Tensor, *, seed: int, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of an arbitrary function of the output, and of the loss.

    The loss is a mean: its gradient is multiplied by what it divides by, lest it is all rounding.
    """
    weights = normal(*z_q.shape[-2:], seed=seed)
    through = torch.autograd.grad((scale * z_q * weights).sum(), z, retain_graph=True)[0]
    return through, torch.autograd.grad(z.numel() * loss, z, retain_graph=True)[0]


def assert_equal_gradients(
    found: tuple[Tensor, ...], expected: tuple[Tensor, ...], *, error: float
) -> None:
    """Holds differences to a share of the greatest entry: where terms cancel, digits are lost."""
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=error * theirs.abs().max().item())
