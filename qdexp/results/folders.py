"""Where things lie under a runs folder."""

import os
import re
from pathlib import Path

from qdexp.errors import RequestError

DEFAULT_RUNS = "runs"
FINAL_CHECKPOINT = "final_checkpoint.pt"
SAMPLED_CLIPS, REAL_CLIPS = "samples.gif", "real.gif"
"""Clips to look at, in a trial's folder: what it samples, and held-out ones to compare with."""

_NUMBERED = re.compile(r"checkpoint_step_(\d+)\.pt")


def runs_folder(given: Path | None) -> Path:
    """Returns the absolute runs folder: as given, or ``$QDEXP_RUNS``, or ``runs`` here.

    Raises:
        RequestError: It, or a folder that it would be in, is a file, may not be entered, or has a
            name that is too long.
    """
    runs = (given or Path(os.environ.get("QDEXP_RUNS") or DEFAULT_RUNS)).absolute()
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


def numbered_checkpoints(folder: Path) -> list[Path]:
    """Returns a trial's checkpoints before the final one, the furthest training first."""
    steps = {
        path: int(match[1])
        for path in folder.glob("checkpoint_step_*.pt")
        if (match := _NUMBERED.fullmatch(path.name))
    }
    return sorted(steps, key=lambda path: steps[path], reverse=True)


def latest_step(folder: Path) -> int | None:
    """Returns the step of the furthest numbered checkpoint in a trial's folder, or None."""
    matches = [_NUMBERED.fullmatch(path.name) for path in numbered_checkpoints(folder)[:1]]
    return next((int(match[1]) for match in matches if match), None)
