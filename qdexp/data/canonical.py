"""One text, and so one hash, for each value."""

import hashlib
import json


def canonical_sha256(value: object) -> str:
    """Returns the SHA-256 of a value's one JSON text: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
