"""How often the codes of each condition are used: each code's share, and by timestep bucket.

Axes: k conditions, s seeds, r ranks, b buckets of neighbouring noise levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from qdexp_analysis.arrays import SHARES_AT_RANKS, Arrays, ranks
from qdexp_analysis.table import Experiment

USAGE, PERPLEXITY = 0, 1
"""Rows of the array by bucket."""


@dataclass(frozen=True, kw_only=True)
class CodeShares:
    """The share of the counted tokens that codes have, the most used first.

    Args:
        ranks: From 1, evenly spread on a logarithmic scale.
        shares: Of the code at each rank; nan where a trial has no counts, or no code so far down.
    """

    ranks: Int[np.ndarray, " r"]
    shares: Float[np.ndarray, "k s r"]


@dataclass(frozen=True, kw_only=True)
class CodesByBucket:
    """The codes' use by groups of neighbouring noise levels, from most noise to least.

    Args:
        log_snr: Mean over each bucket's levels.
        usage: Share of the codes used by its tokens; nan where a trial has none.
        perplexity: Of its tokens' codes; nan likewise.
    """

    log_snr: Float[np.ndarray, " b"]
    usage: Float[np.ndarray, "k s b"]
    perplexity: Float[np.ndarray, "k s b"]


def code_shares(experiment: Experiment) -> CodeShares | None:
    """Returns the shares of the codes, or None if no trial counted them."""
    shares = _by_trial(experiment, lambda arrays: arrays.get(SHARES_AT_RANKS))
    if shares is None:
        return None
    shares = np.where(shares > 0, shares, np.nan)
    reached = ~np.isnan(shares).all(axis=(0, 1))
    if not reached.any():
        return None
    length = int(np.flatnonzero(reached)[-1]) + 1
    return CodeShares(ranks=ranks()[:length], shares=shares[:, :, :length])


def codes_by_bucket(experiment: Experiment) -> CodesByBucket | None:
    """Returns the codes' use by bucket, or None where it is not known or buckets differ."""
    places = _by_trial(experiment, _bucket_log_snr)
    usage = _by_trial(experiment, lambda arrays: _row(arrays, USAGE))
    perplexity = _by_trial(experiment, lambda arrays: _row(arrays, PERPLEXITY))
    if places is None or usage is None or perplexity is None:
        return None
    known = places[~np.isnan(places).any(axis=2)]
    if usage.shape != places.shape or not np.allclose(known, known[0]):
        return None
    return CodesByBucket(log_snr=known[0], usage=usage, perplexity=perplexity)


def _row(arrays: Arrays, row: int) -> Float[np.ndarray, " b"] | None:
    by_bucket = arrays.get("eval.bucket_code_use")
    return None if by_bucket is None else by_bucket[row]


def _bucket_log_snr(arrays: Arrays) -> Float[np.ndarray, " b"] | None:
    """Returns each bucket's mean log-SNR: the levels are dealt to the buckets in their order."""
    usage, levels = _row(arrays, USAGE), arrays.get("eval.level_log_snr")
    if usage is None or levels is None or len(levels) < len(usage):
        return None
    bucket = np.arange(len(levels)) * len(usage) // len(levels)
    return np.array([levels[bucket == each].mean() for each in range(len(usage))])


def _by_trial(
    experiment: Experiment, of: Callable[[Arrays], Float[np.ndarray, " n"] | None]
) -> Float[np.ndarray, "k s n"] | None:
    """Returns an array of every trial, nan where it has none; None without any, or of two sizes."""
    found = {
        record.trial_id: array
        for record in experiment.records
        if (array := of(experiment.arrays.get(record.trial_id, {}))) is not None
    }
    sizes = {len(array) for array in found.values()}
    if len(sizes) != 1:
        return None
    shape = (len(experiment.conditions), len(experiment.seeds), sizes.pop())
    values = np.full(shape, np.nan)
    for record in experiment.records:
        if record.trial_id in found:
            values[experiment.place(record)] = found[record.trial_id]
    return values
