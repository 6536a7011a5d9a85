"""A folder that a command writes into: whether it may."""

import os
from pathlib import Path

from qdexp.errors import RequestError


def check_writable(folder: Path) -> None:
    """Accepts a folder that can be written, or made.

    Raises:
        RequestError: It cannot.
    """
    try:
        standing = next(each for each in (folder, *folder.parents) if each.exists())
    except OSError as error:
        raise RequestError(f"--out: expected a folder, found {folder}: {error.strerror}") from None
    if not standing.is_dir():
        raise RequestError(f"--out: expected a folder, found a file: {standing}")
    if not os.access(standing, os.W_OK):
        raise RequestError(f"--out: expected a folder that can be written, found {standing}")
