"""The arrays of an outcome that the analysis reads."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

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
)


_SHARED = ("eval.level_log_snr", "eval.level_timesteps", "eval.clip_sources")
"""Arrays that say how trials were measured: where they are equal, they are kept once."""


def read_arrays(ledger: Ledger, trial_ids: Sequence[str]) -> dict[str, Arrays]:
    """Returns the arrays in `ARRAYS` that trials' last outcomes have, by trial id and name.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    found: dict[str, dict[str, Float[np.ndarray, ...]]] = {each: {} for each in trial_ids}
    shared: dict[tuple[str, bytes], Float[np.ndarray, ...]] = {}
    for trial_id, name, shape, values in numbers(ledger, "array", trial_ids, ARRAYS):
        array = np.asarray(values, dtype=float).reshape(tuple(shape))
        if name in _SHARED:
            array = shared.setdefault((name, array.tobytes()), array)
        found[trial_id][name] = array
    return dict(found)
