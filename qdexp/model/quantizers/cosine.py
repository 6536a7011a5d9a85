"""`cosine`: a codebook of moving averages on the unit sphere (Yu et al., 2021, section 3.2).

Axes: n tokens, k codes, d dimensions of a code.
"""

# pyright: basic

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from qdexp.model.quantizers.code_search import code_statistics, nearest_codes
from qdexp.model.quantizers.estimator import LEAST_NORM
from qdexp.model.quantizers.kmeans import kmeans
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.model.quantizers.quantization import Quantization


class CosineQuantizer(MovingAverageQuantizer):
    """A codebook that follows the directions of the tokens most similar to each code.

    Tokens and codes have unit length in the search and in the averages. What leaves is stretched
    by sqrt(d), so that its numbers have unit variance and its losses the size of the other kinds'.
    """

    def set_codebook(self, codes: Float[Tensor, "k d"], *, cluster_size: float) -> None:
        """Starts the moving averages at the directions of `codes`."""
        super().set_codebook(direction(codes), cluster_size=cluster_size)

    @torch.no_grad()
    def cluster(
        self, tokens: Float[Tensor, "n d"], order: Int[Tensor, " n"], cluster_size: float
    ) -> None:
        """Starts the moving averages at clusters of directions."""
        tokens = direction(tokens.to(self.codebook.dtype))
        first = tokens[order[: len(self.codebook)]]
        start = torch.cat([first, self.codebook[len(first) :]])
        self.set_codebook(kmeans(tokens, start, is_spherical=True), cluster_size=cluster_size)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the most similar codes; the gradient passes the normalisation too."""
        stretch = math.sqrt(tokens.shape[1])
        units = direction(tokens)
        indices = nearest_codes(units.detach(), self.codebook)
        codes = self.codebook[indices]
        commitment = functional.mse_loss(stretch * units, stretch * codes)
        return Quantization(
            z_q=stretch * self.estimate(units, codes),
            indices=indices[:, None],
            vq_loss=self.commitment_cost * commitment,
            commitment_loss=commitment.detach(),
            codebook_loss=tokens.new_zeros(()),
            statistics=code_statistics(units.detach(), indices, len(self.codebook)),
        )

    def _codes_from_averages(self) -> Float[Tensor, "k d"]:
        averages = super()._codes_from_averages()
        # With a decay of 0 a code without tokens has no direction: it keeps the one it had.
        has_direction = averages.norm(dim=1, keepdim=True) > LEAST_NORM
        return torch.where(has_direction, direction(averages), self.codebook)


def direction(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Returns every row at unit length."""
    return functional.normalize(x, dim=1, eps=LEAST_NORM)
