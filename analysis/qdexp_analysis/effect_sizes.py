"""Standardized effect sizes: a paired difference in units of its own spread between seeds.

They compare differences across metrics and experiments. Pairs share data, noise and weights, so
that their spread is small and a size large: it is no size in units of single trainings.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.intervals import CONFIDENCE

_FAR = 9.0
"""Standard deviations beyond which a normal variable has no weight in double precision."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


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


def noncentral_limits(t: float, df: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the noncentralities under which `t` is just as high, or as low, as is believable."""
    tail = (1 - confidence) / 2
    return _noncentrality(t, df, 1 - tail), _noncentrality(t, df, tail)


def noncentral_cdf(t: float, df: int, noncentrality: float) -> float:
    """Returns the share of a noncentral t distribution below `t`.

    For t = (z + noncentrality) / s it is the integral over z of the chance that s is large enough.
    SciPy's series is nan for a noncentrality far on the other side of 0, and slow and then nan at
    the large t that pairs of little noise have; elsewhere the two agree to ten digits.
    """
    if t < 0:
        return 1 - noncentral_cdf(-t, df, -noncentrality)
    below = float(special.ndtr(-noncentrality))
    low = max(-noncentrality, -_FAR)
    high = min(_FAR, -noncentrality + t * math.sqrt(float(special.chdtri(df, 1e-16)) / df))
    if high <= low:
        return below
    z = low + (high - low) * (1 + _NODES) / 2
    large_enough = special.chdtrc(df, df * ((z + noncentrality) / t) ** 2)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return below + (high - low) / 2 * float((_WEIGHTS * density * large_enough).sum())


def _noncentrality(t: float, df: int, share: float) -> float:
    """Returns the noncentrality under which a share of all t statistics is below `t`."""

    def excess(noncentrality: float) -> float:
        return noncentral_cdf(t, df, noncentrality) - share

    reach = 2.0
    while excess(t - reach) < 0 or excess(t + reach) > 0:
        reach *= 2
    return optimize.root_scalar(excess, bracket=(t - reach, t + reach), rtol=1e-10).root
