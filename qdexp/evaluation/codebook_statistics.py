"""How much of a codebook is used. Both numbers are bounded by the tokens counted.

Counts of many batches are added up before they are judged: perplexities cannot be averaged.
"""

# pyright: basic

import torch
from jaxtyping import Float, Int
from torch import Tensor


def code_counts(indices: Int[Tensor, "..."], num_embeddings: int) -> Int[Tensor, " k"]:
    """Returns how many tokens chose each code."""
    return torch.bincount(indices.flatten(), minlength=num_embeddings)


def codebook_usage(counts: Int[Tensor, " k"] | Float[Tensor, " k"]) -> float:
    """Returns the share of the codes that at least one token chose."""
    return (counts > 0).double().mean().item()


def perplexity(counts: Int[Tensor, " k"] | Float[Tensor, " k"]) -> float:
    """Returns exp(entropy) of the codes' distribution: as many codes, used evenly, say as much."""
    shares = counts.double() / counts.sum()
    return torch.special.entr(shares).sum().exp().item()
