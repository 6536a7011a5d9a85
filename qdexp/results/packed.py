"""A whole outcome as one small block, for outcomes that count nowhere."""

import hashlib
import zlib

from qdexp.results import schema
from qdexp.results.outcome import Outcome


def packed(outcome: Outcome) -> tuple[str, bytes]:
    """Returns the SHA-256 of a whole outcome's JSON, and that compressed."""
    text = outcome.to_json().encode()
    return hashlib.sha256(text).hexdigest(), zlib.compress(text)


def outcome_from_packed(content: bytes) -> Outcome:
    """Returns the outcome that `packed` packed.

    Raises:
        ValueError: It is none.
        zlib.error: It is damaged.
    """
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(content, schema.MOST_BLOCK_BYTES)
    if not unpacking.eof:
        raise ValueError("an outcome that ends before its end, or is too long")
    return Outcome.from_json(text.decode())
