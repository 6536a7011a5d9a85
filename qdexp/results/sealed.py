"""Files that end in the SHA-256 of what is before it: whole, or seen not to be."""

import hashlib
from pathlib import Path

_DIGEST_BYTES = 32


def seal(body: bytes | memoryview) -> bytes:
    """Returns what follows a file's content."""
    return hashlib.sha256(body).digest()


def opened(content: bytes) -> bytes | None:
    """Returns the content before a file's seal, or None if it is not what was sealed."""
    body, found = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    return body if seal(body) == found else None


def is_whole(file: Path) -> bool:
    """Tells whether a file is there, and every byte as it was sealed."""
    try:
        return opened(file.read_bytes()) is not None
    except OSError:
        return False
