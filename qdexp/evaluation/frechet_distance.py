"""The Frechet distance between normal distributions fitted to two sets of features.

It is biased upwards: two sets of one distribution are some distance apart, the further the fewer
members and the more dimensions they have. Compare equal numbers only.
Axes: n and m members, d features.
"""

# pyright: basic

import math

import torch
from jaxtyping import Float64
from torch import Tensor


def frechet_distance(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> float:
    """Returns |mean_x - mean_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), C the sample covariances.

    Heusel et al., 2017, equation 6. The eigenvalues of C_x C_y are squares of the singular values
    of X Y^T / sqrt((n - 1) (m - 1)), X and Y the centred members, so that the trace of the root is
    their sum: exact with fewer members than dimensions too, where a root of the product of two
    singular matrices is not.

    Raises:
        ValueError: A set has less than two members.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"expected at least 2 clips in each set, found {len(x)} and {len(y)}")
    root_x, root_y = _root(x), _root(y)
    shift = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    shared = torch.linalg.svdvals(root_x @ root_y.T).sum()
    distance = shift + root_x.square().sum() + root_y.square().sum() - 2 * shared
    # It is a distance: what is left below 0 is rounding.
    return max(distance.item(), 0.0)


def _root(x: Float64[Tensor, "n d"]) -> Float64[Tensor, "r d"]:
    """Returns R with R^T R the covariance, of at most d rows."""
    centred = (x - x.mean(dim=0)) / math.sqrt(len(x) - 1)
    return torch.linalg.qr(centred, mode="r").R
