"""Checkpoints of a user's own training: bytes under a step, whole or passed over."""

import os
from pathlib import Path

from qdexp.errors import CheckpointError
from qdexp.results.folders import own_checkpoint_name, own_checkpoints
from qdexp.results.sealed import opened, seal

KEPT = 2
"""Checkpoints that are kept; the older ones are removed."""


def save(folder: Path, step: int, content: bytes) -> None:
    """Writes a checkpoint under a temporary name, syncs and renames it; keeps the last `KEPT`.

    Raises:
        CheckpointError: The step is no number from 0, or the content is no bytes.
        OSError: The folder cannot be written; checkpoints that are there stay.
    """
    if type(step) is not int or step < 0:
        raise CheckpointError(f"expected a checkpoint's step as a number from 0, found {step!r}")
    if not isinstance(content, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CheckpointError(f"expected a checkpoint as bytes, found {type(content).__name__}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / own_checkpoint_name(step)
    unfinished = path.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.write(seal(content))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(folder)
    for _, older in own_checkpoints(folder)[KEPT:]:
        older.unlink(missing_ok=True)


def latest(folder: Path) -> tuple[int, bytes] | None:
    """Returns the furthest checkpoint that is whole, as its step and content, or None."""
    for step, path in own_checkpoints(folder):
        try:
            content = opened(path.read_bytes())
        except OSError:
            continue
        if content is not None:
            return step, content
    return None


def _sync(folder: Path) -> None:
    """Makes a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
