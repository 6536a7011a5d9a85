"""Identity from content: what two trials must share to be the same trial."""

import hashlib
import json
from typing import Any

from qdexp.config.revision import RESULTS_REVISION

WITHOUT_EFFECT = frozenset({"training.checkpoint_every_steps"})
"""Configuration fields that change no result, and so no identity."""

LENGTH_FIELDS = frozenset({"training.max_steps", "training.num_epochs"})
"""Fields that say only how long to train: a longer trial passes through a shorter one's states."""


def canonical_json(value: object) -> str:
    """Returns the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Returns the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def trial_id(*, fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str) -> str:
    """Returns the id of a trial: 16 hexadecimal digits over all that affects its result."""
    kept = {name: value for name, value in fields.items() if name not in WITHOUT_EFFECT}
    return digest(_content(kept, seed, data_fingerprint, trainable))[:16]


def trajectory_id(
    *, fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str
) -> str:
    """Returns the id shared by trials whose training passes through the same states.

    They differ in length and in what is evaluated only, so one can start from another's
    checkpoint.
    """
    kept = {
        name: value
        for name, value in fields.items()
        if name not in WITHOUT_EFFECT | LENGTH_FIELDS and not name.startswith("evaluation.")
    }
    return digest(_content(kept, seed, data_fingerprint, trainable))[:16]


def _content(
    fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str
) -> dict[str, Any]:
    return {
        "configuration": fields,
        "seed": seed,
        "data": data_fingerprint,
        "trainable": trainable,
        "revision": RESULTS_REVISION,
    }
