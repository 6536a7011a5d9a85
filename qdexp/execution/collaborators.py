"""The outside of a run, as the composition root fills it in."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qdexp.execution.looking import FIRST_LOOK, Judge
from qdexp.execution.ports import Dataset, Executor, Listener, Reported, Tracker
from qdexp.experiment.plan import Plan
from qdexp.results.outcome import Outcome


class Display(Listener, Protocol):
    """Shows a run while it goes on."""

    def on_plan(self, plan: Plan) -> None:
        """The plan is known; nothing runs yet."""
        ...

    def on_suggestion(self, plan: Plan, num_ahead: int) -> None:
        """A search goes on with more trials; `num_ahead` others may follow these."""
        ...

    def on_best(self, text: str) -> None:
        """What a search found so far, in words."""
        ...

    def on_preparation(self, what: str) -> None:
        """Something that takes a while begins, such as making latents."""
        ...


@dataclass(frozen=True, kw_only=True)
class Collaborators:
    """The outside of a run, as the composition root chose it.

    Args:
        dataset: Fingerprints and prepares the clips.
        executor: Runs trials.
        tracker: Mirrors the ledger.
        display: Shows what happens.
        draw: Writes an outcome's pictures into a folder and returns their paths.
        provenance: Facts about this driver that every outcome keeps: commit, versions, hardware.
        report: Writes the experiment's report from the ledger, or None if none is wanted.
        judge: Says which conditions need more seeds, where their number is not fixed.
        clock: Monotonic seconds.
        pause: Waits so many seconds; a signal may end it by raising.
    """

    dataset: Dataset
    executor: Executor
    tracker: Tracker
    display: Display
    draw: Callable[[Outcome, Path], Sequence[Path]]
    provenance: Mapping[str, Any]
    report: Callable[[], Reported] | None = None
    judge: Judge = FIRST_LOOK
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
