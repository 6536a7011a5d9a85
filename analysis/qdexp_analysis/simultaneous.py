"""The interval that goes with a verdict: for all contrasts of a family at once.

Each interval has Bonferroni's level, so that together they cover at 95 %. Holm's correction
decides more than they show: what it has decided cuts them (as in Guilbaud, 2008, and Strassburger
and Bretz, 2008), so that an interval never contradicts its verdict. Cut ones cover together at 95 %
where no condition has an effect, and at no less than 90 % anywhere (decision 19).
"""

Limits = tuple[float, float]


def in_agreement(
    interval: Limits | None,
    *,
    mean: float,
    excludes_zero: bool,
    within: float | None,
    is_within: bool,
) -> Limits | None:
    """Returns an interval that says what its verdict says.

    Args:
        interval: The interval at the family's level, around `mean`; None if there is none.
        mean: The difference.
        excludes_zero: Whether Holm's correction leaves the difference significant.
        within: The smallest effect of interest as a difference, or None.
        is_within: Whether it leaves the difference equivalent.

    Returns:
        It, cut at 0 or at the margin where they are decided; if they are not, reaching at least to
        them (of a relative margin, the place is itself an estimate).
    """
    if interval is None:
        return None
    low, high = interval
    if not excludes_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    elif mean > 0:
        low = max(low, 0.0)
    else:
        high = min(high, 0.0)
    if within is None:
        return low, high
    if is_within:
        return max(low, -within), min(high, within)
    if -within < low and high < within:
        return (low, within) if mean > 0 else (-within, high)
    return low, high


def hull(*intervals: Limits | None) -> Limits:
    """Returns the smallest interval that has all of them in it."""
    known = [limits for limits in intervals if limits is not None]
    return min(low for low, _ in known), max(high for _, high in known)
