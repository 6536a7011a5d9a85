"""The codes that samples went through: how many of each, at every call of the network."""

# pyright: basic

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.evaluation.codebook_statistics import (
    code_counts,
    codebook_usage,
    entropy,
    perplexity,
)


@dataclass(frozen=True, kw_only=True)
class CodeSummary:
    """What counts of codes say; bounded by the tokens counted.

    Args:
        tokens: How many were counted.
        used: Different codes among them, over all codebooks.
        codes: Codes that there are, over all codebooks.
        usage: Their ratio.
        perplexity: As many codes, used evenly, say as much; the mean over codebooks.
        entropy: Its logarithm, in nats.
    """

    tokens: int
    used: int
    codes: int
    usage: float
    perplexity: float
    entropy: float


class CodeUse:
    """Counts of codes by the network's call, codebook and code.

    Args:
        config: The model's section.
        num_calls: Calls of the network for one sample.
    """

    def __init__(self, config: ModelConfig, num_calls: int) -> None:
        shape = (num_calls, config.codes_per_token, config.num_embeddings)
        self.counts = torch.zeros(shape, dtype=torch.long)

    def add(self, by_call: Sequence[Tensor]) -> None:
        """Counts the codes (b, tt, hh, ww, q) that a batch had at every call."""
        for counts, indices in zip(self.counts, by_call, strict=True):
            counts += code_counts(indices, counts.shape[1]).cpu()

    def by_code(self) -> list[list[int]]:
        """Returns the tokens of each codebook's codes, over all calls."""
        return self.counts.sum(dim=0).tolist()


def summary(counts: Tensor) -> CodeSummary:
    """Returns what counts (q, k) say."""
    return CodeSummary(
        tokens=int(counts[0].sum()),
        used=int((counts > 0).sum()),
        codes=counts.numel(),
        usage=codebook_usage(counts),
        perplexity=perplexity(counts),
        entropy=entropy(counts),
    )
