"""Standardized effect sizes: a paired difference in units of its own spread between seeds.

They compare differences across metrics and experiments. Pairs share data, noise and weights, so
that their spread is small and a size large: it is no size in units of single trainings.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.noncentral import noncentral_limits


@dataclass(frozen=True, kw_only=True)
class EffectSize:
    """A paired effect size over seeds, on the same clips.

    Args:
        d_z: The mean difference over its standard deviation between seeds (Cohen, 1988).
        g_z: The same without its bias from few seeds (Hedges, 1981, eq. 6e); None for two seeds,
            for which no correction is finite.
        interval: The 95 % interval of the true size, from the noncentral t distribution
            (Steiger and Fouladi, 1997); exact under normal differences.
    """

    d_z: float
    g_z: float | None
    interval: tuple[float, float]


def effect_size(contrast: Contrast) -> EffectSize | None:
    """Returns a contrast's size; None without pairs, for one seed, or without variance."""
    estimate = contrast.estimate
    if not contrast.is_paired or estimate is None or estimate.same_clips is None:
        return None
    if len(contrast.differences) < 2:
        return None
    number = len(contrast.differences)
    by_seed = contrast.differences.mean(axis=1)
    d_z = float(by_seed.mean() / by_seed.std(ddof=1))
    correction = hedges_correction(number - 1)
    low, high = noncentral_limits(d_z * math.sqrt(number), number - 1)
    return EffectSize(
        d_z=d_z,
        g_z=None if correction is None else correction * d_z,
        interval=(low / math.sqrt(number), high / math.sqrt(number)),
    )


def hedges_correction(df: int) -> float | None:
    """Returns what an effect size is multiplied by to be unbiased (Hedges, 1981, eq. 6e)."""
    if df < 2:
        return None
    log = special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - math.log(df / 2) / 2
    return float(np.exp(log))
