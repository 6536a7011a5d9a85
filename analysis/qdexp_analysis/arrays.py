"""The arrays of an outcome that the analysis reads, large ones made small when they are read."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Array

Arrays = Mapping[str, Float[np.ndarray, "..."]]

ARRAYS = (
    "eval.clip_errors",
    "eval.quantized_clip_errors",
    "eval.unquantized_clip_errors",
    "eval.pixel_errors",
    "eval.level_log_snr",
    "eval.level_timesteps",
    "eval.clip_sources",
    "eval.bucket_code_use",
)

SHARES_AT_RANKS = "eval.code_shares"
"""Made of the tokens by code: the share of the code at each of `ranks`, the most used first."""

_COUNTS = "eval.code_counts"
_MOST_CODES = 262_144
_NUM_RANKS = 96


def arrays_of(ledger: Ledger, trial_id: str) -> Arrays:
    """Returns the arrays in `ARRAYS` that a trial's last outcome has, by name."""
    recorded = ledger.arrays(trial_id)
    found = {name: _numpy(recorded[name]) for name in ARRAYS if name in recorded}
    if _COUNTS in recorded:
        found[SHARES_AT_RANKS] = shares_at_ranks(_numpy(recorded[_COUNTS]))
    return found


@cache
def ranks() -> Int[np.ndarray, " r"]:
    """Returns ranks from 1 to the most codes that there can be, evenly spread as logarithms."""
    return np.unique(np.geomspace(1, _MOST_CODES, _NUM_RANKS).round().astype(int))


def shares_at_ranks(counts: Float[np.ndarray, " codes"]) -> Float[np.ndarray, " r"]:
    """Returns the share of the tokens that the code at each of `ranks` has; 0 past the last."""
    most_first = np.sort(counts.ravel())[::-1] / max(float(counts.sum()), 1.0)
    within = ranks() <= most_first.size
    shares = np.zeros(len(within))
    shares[within] = most_first[ranks()[within] - 1]
    return shares


def _numpy(recorded: Array) -> Float[np.ndarray, "..."]:
    return np.array(recorded.values).reshape(recorded.shape)
