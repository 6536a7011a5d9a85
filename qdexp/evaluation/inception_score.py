"""The Inception Score: how sure a classifier is of each sample, and how many labels they have.

It is 1 where all samples look alike to the classifier, and the number of labels where each is
surely of one and all are as frequent. It compares with no real clips, and grows with the number of
samples: compare equal numbers, and look at the score of real clips beside it.
Axes: n clips, k labels.
"""

# pyright: basic

import math

import torch
from jaxtyping import Float
from torch import Tensor

TOLERANCE = 1e-3
"""By how much the probabilities of a clip may miss 1: they come from networks in float32."""


def inception_score(probabilities: Float[Tensor, "n k"], splits: int = 1) -> float:
    """Returns exp(E_x KL(p(y|x) || p(y))), the mean over `splits` consecutive equal parts.

    Salimans et al., 2016, section 4, has 10 parts; more than one adds to its bias (Barratt and
    Sharma, 2018). The clips that fill no part are left out.

    Args:
        probabilities: Of each label, for each clip.
        splits: Parts that are scored apart.

    Raises:
        ValueError: The rows are no probabilities, or there are fewer clips than parts.
    """
    p = probabilities.double()
    check_probabilities(p)
    if not 1 <= splits <= len(p):
        raise ValueError(f"splits: expected 1 to {len(p)}, the number of clips, found {splits}")
    size = len(p) // splits
    scores = [_score(part) for part in p[: size * splits].split(size)]
    return sum(scores) / splits


def check_probabilities(p: Float[Tensor, "n k"]) -> None:
    """Accepts rows that are not negative and sum to 1.

    Raises:
        ValueError: They are something else, such as logits.
    """
    sums = p.sum(dim=1)
    if not (sums - 1).abs().le(TOLERANCE).all() or (p < 0).any():
        raise ValueError(
            "expected probabilities, which sum to 1 for each clip, found sums from "
            f"{sums.min().item():.4g} to {sums.max().item():.4g} and a least value of "
            f"{p.min().item():.4g}"
        )


def _score(p: Float[Tensor, "n k"]) -> float:
    # entr(0) is 0, its limit: a label that no clip has adds nothing.
    entropies = torch.special.entr(p).sum(dim=1)
    return math.exp((torch.special.entr(p.mean(dim=0)).sum() - entropies.mean()).item())
