"""The arrays of an outcome that the analysis reads."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

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
)


def arrays_of(ledger: Ledger, trial_id: str) -> Arrays:
    """Returns the arrays in `ARRAYS` that a trial's last outcome has, by name."""
    recorded = ledger.arrays(trial_id)
    return {name: _numpy(recorded[name]) for name in ARRAYS if name in recorded}


def _numpy(recorded: Array) -> Float[np.ndarray, "..."]:
    return np.array(recorded.values).reshape(recorded.shape)
