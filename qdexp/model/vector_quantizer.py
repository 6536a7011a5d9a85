"""Vector quantization with a codebook of moving averages, in two phases.

`forward` is pure: it reads the codebook and returns what the batch says about it. `update` is
called once after the optimizer's step, with the statistics of all its micro-batches added up. So
accumulation, recomputed activations and evaluation cannot move the codebook by accident.

Axes: n tokens, k codes, d dimensions of a code.
"""

# pyright: basic

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.sections import ModelConfig

SCORES_PER_BLOCK = 2**20
"""Distances held at once by the code search: 4 MiB, which stay in cache."""

EPSILON = 1e-5
"""Laplace smoothing of the cluster sizes, as in the authors' own implementation (Sonnet)."""


@dataclass(frozen=True, kw_only=True)
class CodeStatistics:
    """What a batch says about the codebook; micro-batches add up.

    Args:
        counts: Tokens nearest to each code.
        sums: Sum of those tokens.
        tokens: The tokens themselves, from which replacements of dead codes are drawn.
    """

    counts: Float[Tensor, " k"]
    sums: Float[Tensor, "k d"]
    tokens: Float[Tensor, "n d"]

    def __add__(self, other: "CodeStatistics") -> "CodeStatistics":
        return CodeStatistics(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            tokens=torch.cat([self.tokens, other.tokens]),
        )


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The quantizer's answer.

    Args:
        z_q: The nearest code of every token; its gradient passes straight through to the token.
        indices: The codes' rows.
        vq_loss: The commitment loss; a codebook of moving averages has no loss of its own.
        statistics: For `VectorQuantizer.update`.
    """

    z_q: Float[Tensor, "*tokens d"]
    indices: Int[Tensor, "*tokens"]
    vq_loss: Float[Tensor, ""]
    statistics: CodeStatistics


class VectorQuantizer(nn.Module):
    """A codebook that follows the moving averages of the tokens nearest to each code.

    Computed in float32 whatever the model's type: a moving average in bfloat16 never moves.
    """

    codebook: Tensor
    cluster_size: Tensor
    code_sums: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.commitment_cost = config.commitment_cost
        self.ema_decay = config.ema_decay
        self.dead_code_threshold = config.dead_code_threshold
        self.register_buffer("codebook", torch.zeros(config.num_embeddings, config.embedding_dim))
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

    def forward(self, z: Float[Tensor, "*tokens d"]) -> Quantization:
        """Returns the nearest codes of `z`, the commitment loss, and the batch's statistics."""
        tokens = z.float().flatten(0, -2)
        indices = nearest_codes(tokens.detach(), self.codebook)
        codes = self.codebook[indices]
        # Not z + (z_q - z).detach(): that rounds, and the value is to be the code exactly.
        straight_through = codes + (tokens - tokens.detach())
        return Quantization(
            z_q=straight_through.reshape(z.shape).to(z.dtype),
            indices=indices.reshape(z.shape[:-1]),
            vq_loss=self.commitment_cost * functional.mse_loss(tokens, codes),
            statistics=code_statistics(tokens.detach(), indices, len(self.codebook)),
        )

    @torch.no_grad()
    def update(self, statistics: CodeStatistics, order: Int[Tensor, " n"]) -> None:
        """Moves the codebook: once for each optimizer step.

        Args:
            statistics: Of all n tokens of that step.
            order: A permutation of them: in it they replace dead codes, row by row.
        """
        self.cluster_size.lerp_(statistics.counts, 1 - self.ema_decay)
        self.code_sums.lerp_(statistics.sums, 1 - self.ema_decay)
        if self.dead_code_threshold > 0:
            self._replace_dead_codes(statistics.tokens[order])
        total = self.cluster_size.sum()
        smoothed = (self.cluster_size + EPSILON) / (total + len(self.codebook) * EPSILON) * total
        self.codebook.copy_(self.code_sums / smoothed[:, None])

    def _replace_dead_codes(self, tokens: Float[Tensor, "n d"]) -> None:
        """Gives every dead code a token of its own and the cluster size of a uniform code.

        Sum and size are both reset: with an old size the code would die again at the next step.
        Where more codes are dead than there are tokens, the rest wait: of two equal codes one is
        never the nearest.
        """
        uniform_size = len(tokens) / len(self.codebook)
        is_dead = self.cluster_size < self.dead_code_threshold * uniform_size
        rank = is_dead.cumsum(0) - 1
        is_replaced = is_dead & (rank < len(tokens))
        drawn = tokens[rank.clamp(0, len(tokens) - 1)]
        self.cluster_size.copy_(torch.where(is_replaced, uniform_size, self.cluster_size))
        self.code_sums.copy_(
            torch.where(is_replaced[:, None], drawn * uniform_size, self.code_sums)
        )


def nearest_codes(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    *,
    scores_per_block: int = SCORES_PER_BLOCK,
) -> Int[Tensor, " n"]:
    """Returns the row of the code nearest to each token, the first of equals.

    |z - c|^2 is least where z.c - |c|^2 / 2 is greatest: one matrix product, the second term being
    a further column. Blocks of rows keep the memory independent of the number of tokens.
    """
    codes = torch.cat([codebook, codebook.square().sum(dim=1, keepdim=True).div(-2)], dim=1)
    rows = max(1, scores_per_block // len(codebook))
    blocks = functional.pad(z, (0, 1), value=1.0).split(rows)
    return torch.cat([(block @ codes.T).argmax(dim=1) for block in blocks])


def code_statistics(
    tokens: Float[Tensor, "n d"], indices: Int[Tensor, " n"], num_embeddings: int
) -> CodeStatistics:
    """Returns how many tokens each code got, and their sum."""
    sums = tokens.new_zeros(num_embeddings, tokens.shape[1]).index_add_(0, indices, tokens)
    counts = torch.bincount(indices, minlength=num_embeddings).to(tokens.dtype)
    return CodeStatistics(counts=counts, sums=sums, tokens=tokens)
