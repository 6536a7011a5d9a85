"""Several codes of a token, each for what the former left (Zeghidour et al., 2021, algorithm 1).

Axes: n tokens, d dimensions, q codes of a token.
"""

# pyright: basic

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from qdexp.model.quantizers.estimator import Estimator
from qdexp.model.quantizers.quantization import (
    CodeStatistics,
    DrawCodes,
    Quantization,
    Quantizer,
)


class ResidualQuantizer(Quantizer):
    """A sum of codes. Losses add up: a codebook is trained as it would be alone.

    Args:
        layers: The quantizers, each with one code for a token.
        estimate: How the gradient passes all codes at once: one estimate for each would count it
            q times.
    """

    def __init__(self, layers: Sequence[Quantizer], estimate: Estimator) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.estimate = estimate

    @property
    def quantizers(self) -> list[Quantizer]:
        """The layers."""
        return cast("list[Quantizer]", list(self.layers))

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the codes of all layers, and what they add up to."""
        left, found = tokens, list[Quantization]()
        for layer in self.quantizers:
            found.append(layer(left))
            left = left - found[-1].z_q.detach()
        total = torch.stack([each.z_q for each in found]).sum(dim=0)
        statistics = [each.statistics for each in found]
        return Quantization(
            z_q=self.estimate(tokens, total),
            indices=torch.cat([each.indices for each in found], dim=1),
            vq_loss=torch.stack([each.vq_loss for each in found]).sum(),
            commitment_loss=torch.stack([each.commitment_loss for each in found]).sum(),
            codebook_loss=torch.stack([each.codebook_loss for each in found]).sum(),
            statistics=CodeStatistics(
                counts=torch.cat([each.counts for each in statistics]),
                sums=torch.cat([each.sums for each in statistics]),
                tokens=torch.cat([each.tokens for each in statistics]),
            ),
        )

    def update(self, statistics: CodeStatistics, order: Int[Tensor, " n"]) -> None:
        """Moves every codebook by its own statistics."""
        for number, layer in enumerate(self.quantizers):
            own = slice(number, number + 1)
            layer.update(
                CodeStatistics(
                    counts=statistics.counts[own],
                    sums=statistics.sums[own],
                    tokens=statistics.tokens[own],
                ),
                order,
            )

    def initialise(self, draw: DrawCodes, cluster_size: float) -> None:
        """Starts every codebook at random codes of its own."""
        for number, layer in enumerate(self.quantizers):
            layer.initialise(_of_codebook(draw, number), cluster_size)

    @torch.no_grad()
    def cluster(
        self, tokens: Float[Tensor, "n d"], order: Int[Tensor, " n"], cluster_size: float
    ) -> None:
        """Starts every codebook at clusters of what the former leave."""
        left = tokens
        for layer in self.quantizers:
            layer.cluster(left, order, cluster_size)
            left = left - layer(left).z_q

    @property
    def num_values(self) -> int:
        """Numbers of all layers."""
        return sum(layer.num_values for layer in self.quantizers)


def _of_codebook(draw: DrawCodes, number: int) -> DrawCodes:
    return lambda _, shape: draw(number, shape)
