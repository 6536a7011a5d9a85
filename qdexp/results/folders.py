"""Where things lie under a runs folder."""

import os
import re
from pathlib import Path

from qdexp.errors import RequestError

DEFAULT_RUNS = "runs"
FINAL_CHECKPOINT = "final_checkpoint.pt"
PROGRESS_FILE = "progress.json"
"""How far a trial is, in its folder while it runs."""

SAMPLED_CLIPS, REAL_CLIPS = "samples.gif", "real.gif"
"""Clips to look at, in a trial's folder: what it samples, and held-out ones to compare with."""

CODE_HISTOGRAM = "code_histogram.png"
"""How often its codes are used, drawn when it ended."""

PICTURES = (CODE_HISTOGRAM, SAMPLED_CLIPS, REAL_CLIPS)
"""What a mirror shows of a trial's folder."""

_NUMBERED = re.compile(r"checkpoint_step_(\d+)\.(pt|ckpt)")


def runs_folder(given: Path | str | None) -> Path:
    """Returns the absolute runs folder: as given, or ``$QDEXP_RUNS``, or ``runs`` here.

    Raises:
        RequestError: It, or a folder that it would be in, is a file, may not be entered, or has a
            name that is too long.
    """
    chosen = os.environ.get("QDEXP_RUNS") or DEFAULT_RUNS if given is None else given
    runs = Path(chosen).absolute()
    try:
        standing = next(path for path in (runs, *runs.parents) if path.exists())
    except OSError as error:
        problem = f"expected a folder that can be read or made, found {runs}: {error.strerror}"
        raise RequestError(f"--runs: {problem}") from None
    if not standing.is_dir():
        raise RequestError(
            f"--runs: expected a folder, found a file: {standing}; choose another with --runs"
        )
    return runs


def trial_folder(runs: Path, trial_id: str) -> Path:
    """Returns the folder of one trial's large files."""
    return runs / "trials" / trial_id


def cache_folder(runs: Path) -> Path:
    """Returns the folder that all trials share latents in."""
    return runs / "cache"


def checkpoint_name(step: int) -> str:
    """Returns the file name of the checkpoint after `step` optimizer steps."""
    return f"checkpoint_step_{step}.pt"


def is_numbered_checkpoint(name: str) -> bool:
    """Tells whether a file is a checkpoint before the final one."""
    return _NUMBERED.fullmatch(name) is not None


def numbered_checkpoints(folder: Path) -> list[Path]:
    """Returns a trial's checkpoints before the final one, the furthest training first."""
    return [path for _, path in _numbered(folder, "checkpoint_step_*.pt")]


def own_checkpoint_name(step: int) -> str:
    """Returns the file name of a checkpoint of a user's own training."""
    return f"checkpoint_step_{step}.ckpt"


def own_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Returns the checkpoints of a user's own training with their steps, the furthest first."""
    return _numbered(folder, "checkpoint_step_*.ckpt")


def latest_step(folder: Path) -> int | None:
    """Returns the step of the furthest numbered checkpoint in a trial's folder, or None."""
    return max((step for step, _ in _numbered(folder, "checkpoint_step_*")), default=None)


def _numbered(folder: Path, pattern: str) -> list[tuple[int, Path]]:
    found = [
        (int(match[1]), path)
        for path in folder.glob(pattern)
        if (match := _NUMBERED.fullmatch(path.name))
    ]
    return sorted(found, reverse=True)
