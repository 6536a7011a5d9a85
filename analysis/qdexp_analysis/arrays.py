"""The arrays of an outcome that the analysis reads, large ones made small when they are read."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from qdexp.results.blocks import numbers
from qdexp.results.ledger import Ledger

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


_SHARED = ("eval.level_log_snr", "eval.level_timesteps", "eval.clip_sources")
"""Arrays that say how trials were measured: where they are equal, they are kept once."""


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


def read_arrays(ledger: Ledger, trial_ids: Sequence[str]) -> dict[str, Arrays]:
    """Returns the arrays in `ARRAYS` that trials' last outcomes have, by trial id and name.

    Of the tokens by code they have the shares at `ranks`.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    found: dict[str, dict[str, Float[np.ndarray, ...]]] = {each: {} for each in trial_ids}
    shared: dict[tuple[str, bytes], Float[np.ndarray, ...]] = {}
    asked = (*ARRAYS, _COUNTS)
    for trial_id, name, shape, values in numbers(ledger, "array", trial_ids, asked):
        array = np.asarray(values, dtype=float).reshape(tuple(shape))
        if name == _COUNTS:
            found[trial_id][SHARES_AT_RANKS] = shares_at_ranks(array)
            continue
        if name in _SHARED:
            array = shared.setdefault((name, array.tobytes()), array)
        found[trial_id][name] = array
    return dict(found)
