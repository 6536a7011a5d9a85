"""The nearest code of every token, and how often each code is one.

Axes: n tokens, k codes, d dimensions of a code.
"""

# pyright: basic

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from qdexp.model.quantizers.quantization import CodeStatistics

SCORES_PER_BLOCK = {"cpu": 2**20, "cuda": 2**26}
"""Distances held at once: on a CPU 4 MiB, which stay in cache; on a GPU enough to fill it."""


def nearest_codes(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    *,
    scores_per_block: int | None = None,
) -> Int[Tensor, " n"]:
    """Returns the row of the code nearest to each token, the first of equals.

    |z - c|^2 is least where z.c - |c|^2 / 2 is greatest: one matrix product, the second term being
    a further column. Blocks of rows keep the memory independent of the number of tokens.
    """
    limit = scores_per_block or SCORES_PER_BLOCK.get(z.device.type, SCORES_PER_BLOCK["cpu"])
    codes = torch.cat([codebook, codebook.square().sum(dim=1, keepdim=True).div(-2)], dim=1)
    rows = max(1, limit // len(codebook))
    blocks = functional.pad(z, (0, 1), value=1.0).split(rows)
    return torch.cat([(block @ codes.T).argmax(dim=1) for block in blocks])


def code_statistics(
    tokens: Float[Tensor, "n d"], indices: Int[Tensor, " n"], num_embeddings: int
) -> CodeStatistics:
    """Returns how many tokens each code of one codebook got, and their sum."""
    sums = tokens.new_zeros(num_embeddings, tokens.shape[1]).index_add_(0, indices, tokens)
    counts = tokens.new_zeros(num_embeddings).index_add_(0, indices, tokens.new_ones(len(tokens)))
    return CodeStatistics(counts=counts[None], sums=sums[None], tokens=tokens[None])


def code_counts(
    tokens: Float[Tensor, "n d"], indices: Int[Tensor, " n"], num_embeddings: int
) -> CodeStatistics:
    """Returns how many tokens each code got, for a codebook that keeps no moving averages."""
    return code_statistics(tokens.detach()[:, :0], indices, num_embeddings)
