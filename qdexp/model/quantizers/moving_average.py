"""`ema`: a codebook of moving averages (van den Oord et al., 2017, appendix A.1).

Axes: n tokens, k codes, d dimensions of a code.
"""

# pyright: basic

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.code_search import code_statistics, nearest_codes
from qdexp.model.quantizers.estimator import estimator
from qdexp.model.quantizers.kmeans import kmeans
from qdexp.model.quantizers.quantization import (
    CodeStatistics,
    DrawCodes,
    Quantization,
    Quantizer,
)

EPSILON = 1e-5
"""Laplace smoothing of the cluster sizes, as in the authors' own implementation (Sonnet)."""


class MovingAverageQuantizer(Quantizer):
    """A codebook that follows the moving averages of the tokens nearest to each code."""

    codebook: Tensor
    cluster_size: Tensor
    code_sums: Tensor

    def __init__(self, config: ModelConfig, dim: int) -> None:
        super().__init__()
        self.commitment_cost = config.commitment_cost
        self.ema_decay = config.ema_decay
        self.dead_code_threshold = config.dead_code_threshold
        self.estimate = estimator(config.gradient_estimator)
        self.register_buffer("codebook", torch.zeros(config.num_embeddings, dim))
        self.register_buffer("cluster_size", torch.ones(config.num_embeddings))
        self.register_buffer("code_sums", torch.zeros_like(self.codebook))

    @torch.no_grad()
    def set_codebook(self, codes: Float[Tensor, "k d"], *, cluster_size: float) -> None:
        """Starts the moving averages at `codes`, as if each had been seen `cluster_size` times.

        With a uniform code's share of a step, a code that is never used dies at the same step in
        codebooks of all sizes.
        """
        self.codebook.copy_(codes)
        self.code_sums.copy_(codes * cluster_size)
        self.cluster_size.fill_(cluster_size)

    def initialise(self, draw: DrawCodes, cluster_size: float) -> None:
        """Starts the moving averages at random codes."""
        self.set_codebook(
            draw(0, (len(self.codebook), self.codebook.shape[1])), cluster_size=cluster_size
        )

    @torch.no_grad()
    def cluster(
        self, tokens: Float[Tensor, "n d"], order: Int[Tensor, " n"], cluster_size: float
    ) -> None:
        """Starts the moving averages at clusters; with too few tokens the last codes stay."""
        tokens = tokens.to(self.codebook.dtype)
        first = tokens[order[: len(self.codebook)]]
        start = torch.cat([first, self.codebook[len(first) :]])
        self.set_codebook(kmeans(tokens, start), cluster_size=cluster_size)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantization:
        """Returns the nearest codes; a codebook of moving averages has no loss of its own."""
        indices = nearest_codes(tokens.detach(), self.codebook)
        codes = self.codebook[indices]
        commitment = functional.mse_loss(tokens, codes)
        return Quantization(
            z_q=self.estimate(tokens, codes),
            indices=indices[:, None],
            vq_loss=self.commitment_cost * commitment,
            commitment_loss=commitment.detach(),
            codebook_loss=tokens.new_zeros(()),
            statistics=code_statistics(tokens.detach(), indices, len(self.codebook)),
        )

    @torch.no_grad()
    def update(self, statistics: CodeStatistics, order: Int[Tensor, " n"]) -> None:
        """Moves the averages, replaces dead codes, and sets the codes anew."""
        counts, sums = statistics.counts[0], statistics.sums[0]
        self.cluster_size.lerp_(counts, 1 - self.ema_decay)
        self.code_sums.lerp_(sums, 1 - self.ema_decay)
        if self.dead_code_threshold > 0:
            # In float64, as counts are exact there: the threshold is not to depend on their sum.
            uniform_size = counts.sum(dtype=torch.float64) / len(self.codebook)
            self._replace_dead_codes(statistics.tokens[0][order], uniform_size)
        self.codebook.copy_(self._codes_from_averages())

    def _codes_from_averages(self) -> Float[Tensor, "k d"]:
        total = self.cluster_size.sum()
        smoothed = (self.cluster_size + EPSILON) / (total + len(self.codebook) * EPSILON) * total
        return self.code_sums / smoothed[:, None]

    def _replace_dead_codes(
        self, tokens: Float[Tensor, "n d"], uniform_size: Float[Tensor, ""]
    ) -> None:
        """Gives every dead code a token of its own and the cluster size of a uniform code.

        Sum and size are both reset: with an old size the code would die again at the next step.
        Where more codes are dead than there are tokens, the rest wait: of two equal codes one is
        never the nearest.
        """
        is_dead = self.cluster_size < (self.dead_code_threshold * uniform_size).to(tokens.dtype)
        rank = is_dead.cumsum(0) - 1
        is_replaced = is_dead & (rank < len(tokens))
        drawn = tokens[rank.clamp(0, len(tokens) - 1)]
        size = uniform_size.to(tokens.dtype)
        self.cluster_size.copy_(torch.where(is_replaced, size, self.cluster_size))
        self.code_sums.copy_(torch.where(is_replaced[:, None], drawn * size, self.code_sums))

    @property
    def num_values(self) -> int:
        """Numbers in the codebook."""
        return self.codebook.numel()
