"""Checkpoints that are whole or not there.

One is written under a temporary name, synced, and renamed. It is what `torch.save` wrote, sealed;
nothing in it is executed when it is read.
"""

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from qdexp.errors import CheckpointError
from qdexp.results import sealed
from qdexp.results.folders import FINAL_CHECKPOINT, numbered_checkpoints

KEPT = 2
"""Checkpoints that stay in a folder: the newest, and the one before should it be damaged."""

_SAVED_BY_TORCH = b"PK\x03\x04"
"""What a file of `torch.save` begins with, being a zip archive."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training between two steps.

    Args:
        trajectory_id: Which trainings pass through this state.
        configuration: The configuration that made it, as dotted fields.
        step: Optimizer steps done.
        state: Tensors of the model and the optimizer.
        record: What was measured so far, in plain numbers.
        latent_space: What the latents mean, so that samples can be decoded without the data.
    """

    trajectory_id: str
    configuration: dict[str, Any]
    step: int
    state: dict[str, Any]
    record: dict[str, Any]
    latent_space: dict[str, Any]


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint; a crash at any instruction leaves the former ones intact.

    Afterwards the last two checkpoints of the folder are left.

    Raises:
        OSError: It could not be written, the disk being full for instance.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    buffer = BytesIO()  # written by torch.save, a file would turn OSError into RuntimeError
    torch.save(vars(checkpoint), buffer)
    body = buffer.getbuffer()
    try:
        with temporary.open("wb") as file:
            file.write(body)
            file.write(sealed.seal(body))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)
    for old in newest_first(path.parent)[KEPT:]:
        old.unlink()
    for leftover in path.parent.glob("checkpoint_step_*.tmp"):  # of a training killed while saving
        leftover.unlink(missing_ok=True)


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint onto the CPU.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}") from error
    body = sealed.opened(content)
    if body is None:
        raise CheckpointError(f"{path.name} {_unlike_a_checkpoint(content)}")
    try:
        found: dict[str, Any] = torch.load(BytesIO(body), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path.name} holds more than plain data and tensors") from error
    expected = {field.name for field in fields(Checkpoint)}
    if found.keys() != expected:
        raise CheckpointError(
            f"{path.name} is of another version of qdexp: expected {', '.join(sorted(expected))}, "
            f"found {', '.join(sorted(found))}"
        )
    return Checkpoint(**found)


def _unlike_a_checkpoint(content: bytes) -> str:
    """Says what a file is whose last bytes are not the hash of the others."""
    if content.startswith(_SAVED_BY_TORCH):
        return (
            "is damaged, or not of qdexp: its last bytes are not the hash of those before, "
            f"{len(content):,} bytes in all"
        )
    beginning = f" that begin with {content[:16]!r}" if content else ""
    return f"is damaged, or no checkpoint: found {len(content):,} bytes{beginning}"


def newest_first(folder: Path) -> list[Path]:
    """Returns the checkpoints in a folder, the furthest training first."""
    final = folder / FINAL_CHECKPOINT
    return [final] * final.exists() + numbered_checkpoints(folder)


def first_whole(paths: Sequence[Path]) -> tuple[Checkpoint | None, list[str]]:
    """Returns the first checkpoint that is whole, and a warning for each damaged one before it."""
    warnings: list[str] = []
    for path in paths:
        try:
            return read(path), warnings
        except CheckpointError as error:
            warnings.append(f"{error}; it was passed over for an earlier one, or the start")
    return None, warnings


def check_belongs(checkpoint: Checkpoint, *, trajectory_id: str, num_steps: int) -> None:
    """Accepts a checkpoint that a training of `num_steps` passes through.

    Raises:
        CheckpointError: It belongs to another trajectory, or lies beyond the end.
    """
    if checkpoint.trajectory_id != trajectory_id:
        raise CheckpointError(
            f"expected a checkpoint of trajectory {trajectory_id}, found one of "
            f"{checkpoint.trajectory_id}: configuration, seed or data differ; train from the start"
        )
    if checkpoint.step > num_steps:
        raise CheckpointError(
            f"expected a checkpoint of at most {num_steps} steps, found {checkpoint.step}: "
            "give a shorter training's checkpoint or raise training.max_steps"
        )


def _sync(folder: Path) -> None:
    """Makes a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
