"""How much of a codebook is used. All numbers are bounded by the tokens counted.

Counts of many batches are added up before they are judged: perplexities cannot be averaged.
Axes: q codebooks of one token, k codes of one codebook.
"""

# pyright: basic

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def code_counts(indices: Int[Tensor, "*tokens q"], num_embeddings: int) -> Int[Tensor, "q k"]:
    """Returns how many tokens chose each code of each codebook.

    Raises:
        IndexError: An index is no code.
    """
    everywhere = indices.new_zeros(indices.shape[:-1])
    return counts_by_bucket(indices, everywhere, 1, num_embeddings)[0]


def counts_by_bucket(
    indices: Int[Tensor, "*tokens q"],
    bucket: Int[Tensor, "*tokens"],
    num_buckets: int,
    num_embeddings: int,
) -> Int[Tensor, "buckets q k"]:
    """Returns how many tokens chose each code, counted apart for each bucket of tokens.

    Args:
        indices: The codes of every token.
        bucket: Which bucket a token belongs to, such as a range of timesteps.
        num_buckets: Buckets in all; one without tokens has counts of 0.
        num_embeddings: Codes of one codebook.

    Raises:
        IndexError: An index is no code, or a bucket none of them.
    """
    codes = indices.flatten(0, -2).long()
    codebook = torch.arange(codes.shape[1], device=codes.device).expand_as(codes)
    counts = codes.new_zeros(num_buckets, codes.shape[1], num_embeddings)
    where = (bucket.flatten().long()[:, None].expand_as(codes), codebook, codes)
    return counts.index_put_(where, counts.new_ones(()), accumulate=True)


def codebook_usage(counts: Int[Tensor, "q k"] | Float[Tensor, "q k"]) -> float:
    """Returns the share of all codes, of all codebooks, that at least one token chose.

    Raises:
        ValueError: There is no codebook, or one for which no token was counted.
    """
    _check_counted(counts)
    return (counts > 0).double().mean().item()


def entropy(counts: Int[Tensor, "q k"] | Float[Tensor, "q k"]) -> float:
    """Returns the entropy of the codes' distribution in nats, the mean over codebooks.

    Raises:
        ValueError: There is no codebook, or one for which no token was counted.
    """
    _check_counted(counts)
    shares = counts.double() / counts.double().sum(dim=1, keepdim=True)
    return torch.special.entr(shares).sum(dim=1).mean().item()


def perplexity(counts: Int[Tensor, "q k"] | Float[Tensor, "q k"]) -> float:
    """Returns exp(entropy): as many codes, used evenly, say as much.

    Raises:
        ValueError: There is no codebook, or one for which no token was counted.
    """
    return math.exp(entropy(counts))


def _check_counted(counts: Int[Tensor, "q k"] | Float[Tensor, "q k"]) -> None:
    if not len(counts) or not counts.any(dim=1).all():
        raise ValueError(
            "counts: expected tokens counted for at least one codebook and for each, found "
            f"{counts.sum(dim=1).tolist()}"
        )
