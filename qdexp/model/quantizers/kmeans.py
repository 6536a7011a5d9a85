"""Clusters of tokens, at which a codebook can start.

Axes: n tokens, k codes, d dimensions of a code.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qdexp.model.quantizers.code_search import code_statistics, nearest_codes

NUM_ITERATIONS = 10


@torch.no_grad()
def kmeans(
    tokens: Float[Tensor, "n d"],
    start: Float[Tensor, "k d"],
    *,
    is_spherical: bool = False,
    num_iterations: int = NUM_ITERATIONS,
) -> Float[Tensor, "k d"]:
    """Returns the codes after Lloyd's iterations from `start`; one without tokens stays.

    Args:
        tokens: What is clustered, of unit length if spherical.
        start: The first codes, likewise.
        is_spherical: Whether codes are kept on the unit sphere.
        num_iterations: How often codes move to the means of their tokens.
    """
    codes = start
    for _ in range(num_iterations):
        seen = code_statistics(tokens, nearest_codes(tokens, codes), len(codes))
        counts, sums = seen.counts[0, :, None], seen.sums[0]
        means = functional.normalize(sums, dim=1) if is_spherical else sums / counts.clamp(min=1)
        codes = torch.where(counts > 0, means, codes)
    return codes
