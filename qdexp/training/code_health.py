"""How the codebook is used on held-out tokens: over all of them, and from most noise to least."""

# pyright: basic

from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.evaluation.codebook_statistics import (
    codebook_usage,
    counts_by_bucket,
    entropy,
    perplexity,
)
from qdexp.experiment.identity import effective

NUM_BUCKETS = 4
"""Groups of neighbouring noise levels whose codes are also counted apart."""

COLLAPSED_SHARE = 0.01
"""A codebook counts as collapsed below this share of the greatest perplexity possible."""


@dataclass(frozen=True, kw_only=True)
class CodeHealth:
    """What the codes of the held-out tokens say.

    Args:
        scalars: Usage, entropy and perplexity over all counted tokens; none without codes.
        counts: Tokens by codebook and code (q, k).
        by_bucket: Usage, perplexity and entropy (3, buckets), from most noise to least.
        warnings: That the codebook collapsed, and what helps.
    """

    scalars: dict[str, float]
    counts: Tensor
    by_bucket: Tensor
    warnings: tuple[str, ...]


def code_health(indices: Tensor, config: Configuration) -> CodeHealth | None:
    """Judges `codebook_tokens` of the tokens, spread evenly over all; None if there are no codes.

    Args:
        indices: The codes (n, l, tokens, q), clip by clip and level by level, rising in log-SNR.
        config: The trial's configuration.
    """
    clips, levels, tokens, codebooks = indices.shape
    if not codebooks:
        return None
    chosen = evenly_spread(clips * levels * tokens, config.evaluation.codebook_tokens)
    level = chosen // tokens % levels
    buckets = counts_by_bucket(
        indices.flatten(0, 2)[chosen],
        level * NUM_BUCKETS // levels,
        NUM_BUCKETS,
        config.model.num_embeddings,
    )
    counts = buckets.sum(dim=0)
    # With fewer levels than buckets some are empty, and say nothing.
    filled = [bucket for bucket in buckets if bucket.any()]
    return CodeHealth(
        scalars={
            "eval.codebook_usage": codebook_usage(counts),
            "eval.entropy": entropy(counts),
            "eval.perplexity": perplexity(counts),
        },
        counts=counts,
        by_bucket=torch.tensor(
            [
                [judge(bucket) for bucket in filled]
                for judge in (codebook_usage, perplexity, entropy)
            ]
        ),
        warnings=collapse_warnings(perplexity(counts), config),
    )


def collapse_warnings(perplexity: float, config: Configuration) -> tuple[str, ...]:
    """Says that a codebook collapsed, and what helps, if its perplexity is that low."""
    greatest = min(config.model.num_embeddings, config.evaluation.codebook_tokens)
    if perplexity >= COLLAPSED_SHARE * greatest:
        return ()
    read = effective(config.fields())
    lowered = [field for field in ("model.commitment_cost",) if field in read]
    raised = [field for field in ("model.ema_decay", "model.num_embeddings") if field in read]
    remedies = [
        *(f"lower {field}" for field in lowered),
        f"raise {', '.join(raised)} or the diversity of the training data",
    ]
    if "model.dead_code_threshold" in read and not config.model.dead_code_threshold:
        remedies.append("or set model.dead_code_threshold")
    return (
        f"the codebook collapsed: perplexity {perplexity:.1f} of at most {greatest}; "
        f"{', '.join(remedies)}",
    )


def evenly_spread(total: int, count: int) -> Tensor:
    """Returns `count` places among `total`, the first and the last among them, evenly spread."""
    return torch.linspace(0, total - 1, count, dtype=torch.float64).round().long()
