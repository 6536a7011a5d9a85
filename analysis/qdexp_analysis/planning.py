"""What more trials could decide: the detectable difference, and what to add."""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import optimize, special

from qdexp_analysis.intervals import ALPHA, StandardError, crossed_error, rest_of_mean
from qdexp_analysis.noncentral import noncentral_cdf

POWER = 0.8
MOST_SEEDS = 100
"""Seeds beyond which no number is suggested."""


def family_level(num_contrasts: int) -> float:
    """Returns the level of Holm's first step: what a single true effect has to pass."""
    return ALPHA / max(num_contrasts, 1)


def power(error: StandardError, effect: float, level: float) -> float:
    """Returns the chance that a two-sided t test finds a true difference of `effect`."""
    critical = float(special.stdtrit(error.df, 1 - level / 2))
    return 1 - noncentral_cdf(critical, error.df, abs(effect) / error.value)


def minimum_detectable(error: StandardError, level: float) -> float:
    """Returns the true difference that would be found with power `POWER`."""
    return _detectable_errors(error.df, level) * error.value


@lru_cache(maxsize=4096)
def _detectable_errors(df: float, level: float) -> float:
    """Returns the true difference that would be found with power `POWER`, in standard errors."""
    most = 6 * float(special.stdtrit(df, 1 - level / 2))
    one = StandardError(value=1.0, df=df)

    def shortfall(effect: float) -> float:
        return power(one, effect, level) - POWER

    return optimize.root_scalar(shortfall, bracket=(0.0, most), rtol=1e-4).root


def seeds_needed(differences: Float[np.ndarray, "s c"], effect: float, level: float) -> int | None:
    """Returns the seeds that would find a true difference of `effect` with power `POWER`.

    The standard deviation between seeds is taken at its upper 80 % limit (chi-square), since the
    one estimated from a few seeds is too small half of the time. The clips stay as many.

    Args:
        differences: Paired differences of at least two seeds.
        effect: The difference to find.
        level: The test's two-sided level.

    Returns:
        The number, or None if it is above `MOST_SEEDS`.
    """
    num_clips = differences.shape[1]
    variance = upper_variance(differences)
    own, rest = clip_variances(differences)

    def suffices(number: int) -> bool:
        of_rest = rest / number / num_clips
        same = StandardError(value=math.sqrt(variance / number), df=number - 1)
        new = crossed_error(same, own / num_clips + of_rest, max(num_clips, 2), of_rest)
        return all(power(error, effect, level) >= POWER for error in (same, new))

    low, high = 1, MOST_SEEDS
    if not suffices(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def upper_variance(differences: Float[np.ndarray, "s c"]) -> float:
    """Returns the upper 80 % limit of the variance between seeds (chi-square)."""
    df = len(differences) - 1
    return float(differences.mean(axis=1).var(ddof=1)) * df / float(special.chdtri(df, 0.8))


def clips_suffice(differences: Float[np.ndarray, "s c"], effect: float, level: float) -> bool:
    """Tells whether these clips could find `effect` with power `POWER`, given seeds without end."""
    num_clips = differences.shape[1]
    own, _ = clip_variances(differences)
    if own == 0:
        return True
    error = StandardError(value=math.sqrt(own / num_clips), df=num_clips - 1)
    return power(error, effect, level) >= POWER


def clip_variances(differences: Float[np.ndarray, "s c"]) -> tuple[float, float]:
    """Returns the variances of ``clip_c`` and ``rest_sc``, from the mean squares; 0 for one clip.

    The means over S seeds vary by ``clip + rest / S`` between clips: more seeds remove the rest.
    """
    num_seeds, num_clips = differences.shape
    if num_clips < 2:
        return 0.0, 0.0
    rest = rest_of_mean(differences) * num_seeds * num_clips
    by_clip = float(differences.mean(axis=0).var(ddof=1))
    return max(by_clip - rest / num_seeds, 0.0), rest
