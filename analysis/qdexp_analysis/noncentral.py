"""The noncentral t distribution where SciPy's series fails."""

import math

import numpy as np
from scipy import optimize, special

from qdexp_analysis.intervals import CONFIDENCE

_FAR = 9.0
"""Standard deviations beyond which a normal variable has no weight in double precision."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def noncentral_limits(t: float, df: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the noncentralities under which `t` is just as high, or as low, as is believable."""
    tail = (1 - confidence) / 2
    return _noncentrality(t, df, 1 - tail), _noncentrality(t, df, tail)


def noncentral_cdf(t: float, df: float, noncentrality: float) -> float:
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


def _noncentrality(t: float, df: float, share: float) -> float:
    """Returns the noncentrality under which a share of all t statistics is below `t`."""

    def excess(noncentrality: float) -> float:
        return noncentral_cdf(t, df, noncentrality) - share

    reach = 2.0
    while excess(t - reach) < 0 or excess(t + reach) > 0:
        reach *= 2
    return optimize.root_scalar(excess, bracket=(t - reach, t + reach), rtol=1e-10).root
