"""What other processes see of a trial while it runs: a small file in its folder.

Nothing depends on it: it is written beside the ledger, at most once a second, and a disk that is
full or read-only costs only the view.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from qdexp.results.folders import PROGRESS_FILE, trial_folder
from qdexp.results.outcome import Progress

EVERY_SECONDS = 1.0
"""Least time between two files of one trial, but for the last one; a shorter trial has none."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How far a running trial was when its driver last wrote of it.

    Args:
        step: Optimizer steps done.
        num_steps: Optimizer steps in all.
        measurements: The last value of each metric that it reported in this attempt.
        first_step: Steps done when this attempt first reported.
        seconds: Time since then.
        gpu_memory_bytes: Peak memory on its GPU, or None without one.
    """

    step: int
    num_steps: int
    measurements: dict[str, float]
    first_step: int
    seconds: float
    gpu_memory_bytes: int | None = None


@dataclass(kw_only=True)
class _Attempt:
    began: float
    written: float
    has_file: bool = False
    first_step: int | None = None
    measurements: dict[str, float] = field(default_factory=dict[str, float])


class Beacon:
    """Writes how far running trials are.

    Args:
        runs: The runs folder.
        clock: Monotonic seconds.
    """

    def __init__(self, runs: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._runs = runs
        self._clock = clock
        self._attempts: dict[str, _Attempt] = {}

    def start(self, trial_id: str) -> None:
        """An attempt began."""
        now = self._clock()
        self._attempts[trial_id] = _Attempt(began=now, written=now)

    def progress(self, trial_id: str, progress: Progress) -> None:
        """A running trial reported: its file is written if it is time."""
        attempt, now = self._attempts[trial_id], self._clock()
        if attempt.first_step is None:
            attempt.first_step, attempt.began = progress.step, now
        attempt.measurements |= progress.measurements
        is_at_the_end = attempt.has_file and progress.step >= progress.num_steps
        if now - attempt.written < EVERY_SECONDS and not is_at_the_end:
            return
        attempt.written, attempt.has_file = now, not is_at_the_end
        seen = Seen(
            step=progress.step,
            num_steps=progress.num_steps,
            measurements=attempt.measurements,
            first_step=attempt.first_step,
            seconds=now - attempt.began,
            gpu_memory_bytes=progress.gpu_memory_bytes,
        )
        path, temporary = _paths(self._runs, trial_id)
        with suppress(OSError):
            temporary.write_text(json.dumps(asdict(seen)), encoding="utf-8")
            temporary.replace(path)

    def end(self, trial_id: str) -> None:
        """A trial ended: its file goes, and what a killed driver left of it."""
        self._attempts.pop(trial_id, None)
        for path in _paths(self._runs, trial_id):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def seen(runs: Path, trial_id: str, *, since: float = 0.0) -> Seen | None:
    """Returns how far a running trial is, or None where that is not known.

    Args:
        runs: The runs folder.
        trial_id: The trial.
        since: When its attempt began, seconds since 1970: what is older is of another one.
    """
    path, _ = _paths(runs, trial_id)
    try:
        if path.stat().st_mtime < since:
            return None
        return Seen(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _paths(runs: Path, trial_id: str) -> tuple[Path, Path]:
    path = trial_folder(runs, trial_id) / PROGRESS_FILE
    return path, path.with_name(f"{PROGRESS_FILE}.part")
