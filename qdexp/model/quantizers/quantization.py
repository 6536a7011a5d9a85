"""What every quantizer takes and gives: tokens in, codes and what they say about the codebook out.

`forward` is pure: it reads the codebook and returns what the batch says about it. `update` is
called once after the optimizer's step, with the statistics of all its micro-batches added up. So
accumulation, recomputed activations and evaluation cannot move a codebook by accident.

Axes: n tokens, d dimensions of a token, q codes of a token (each from a codebook of its own),
k codes in a codebook.
"""

# pyright: basic

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

DrawCodes = Callable[[int, tuple[int, int]], Tensor]
"""Returns standard normal codes, given the codebook's number and its shape (k, d)."""


@dataclass(frozen=True, kw_only=True)
class CodeStatistics:
    """What a batch says about the codebooks; micro-batches add up.

    Args:
        counts: Tokens that each code got.
        sums: Sum of those tokens; no columns where the codebook keeps no moving averages.
        tokens: The tokens themselves, from which replacements of dead codes are drawn; no columns
            either.
    """

    counts: Float[Tensor, "q k"]
    sums: Float[Tensor, "q k s"]
    tokens: Float[Tensor, "q n s"]

    def __add__(self, other: "CodeStatistics") -> "CodeStatistics":
        return CodeStatistics(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            tokens=torch.cat([self.tokens, other.tokens], dim=1),
        )


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """A quantizer's answer.

    Args:
        z_q: What the codes of every token stand for, with an estimated gradient to the token.
        indices: The codes' numbers.
        vq_loss: What is trained: the weighted sum of the losses that the quantizer has.
        commitment_loss: The part that moves tokens to their codes, unweighted.
        codebook_loss: The part that moves codes to their tokens, unweighted; 0 without one.
        statistics: For `Quantizer.update`.
    """

    z_q: Float[Tensor, "*tokens d"]
    indices: Int[Tensor, "*tokens q"]
    vq_loss: Float[Tensor, ""]
    commitment_loss: Float[Tensor, ""]
    codebook_loss: Float[Tensor, ""]
    statistics: CodeStatistics


class Quantizer(nn.Module):
    """Tokens to codes, computed in float32 or wider whatever the model's type is.

    A moving average in bfloat16 never moves, and distances in it confuse codes.
    """

    def forward(self, z: Float[Tensor, "*tokens d"]) -> Quantization:
        """Returns the codes of `z`, the losses, and the batch's statistics; changes nothing."""
        tokens = z.to(torch.promote_types(z.dtype, torch.float32)).flatten(0, -2)
        with _without_autocast(z.device):
            found = self.quantize(tokens)
        return Quantization(
            z_q=found.z_q.reshape(z.shape).to(z.dtype),
            indices=found.indices.unflatten(0, z.shape[:-1]),
            vq_loss=found.vq_loss,
            commitment_loss=found.commitment_loss,
            codebook_loss=found.codebook_loss,
            statistics=found.statistics,
        )

    @abstractmethod
    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the same as `forward`, for tokens in a row that are float32 or wider."""

    def update(self, statistics: CodeStatistics, order: Int[Tensor, " n"]) -> None:
        """Moves the codebooks: once for each optimizer step.

        Args:
            statistics: Of all tokens of that step.
            order: The order in which `statistics.tokens` replace dead codes.
        """

    def initialise(self, draw: DrawCodes, cluster_size: float) -> None:
        """Starts the codebooks at random codes.

        Args:
            draw: Gives the codes.
            cluster_size: A uniform code's share of a step's tokens.
        """

    def cluster(
        self, tokens: Float[Tensor, "n d"], order: Int[Tensor, " n"], cluster_size: float
    ) -> None:
        """Starts the codebooks at clusters of `tokens`, where they can.

        Args:
            tokens: What the quantizer receives.
            order: The first tokens in it start the clusters.
            cluster_size: A uniform code's share of a step's tokens.
        """

    @property
    def num_values(self) -> int:
        """Numbers that are learned without being parameters."""
        return 0


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which nothing is narrowed; the meta device never narrows."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
