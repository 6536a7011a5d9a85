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


@dataclass(frozen=True, kw_only=True)
class FurtherTrials:
    """Trials that may follow those that are known, at most.

    Args:
        num_of_search: Those that a search's budget has room for, or None where time alone counts.
        num_to_confirm: Those that check its best.
    """

    num_of_search: int | None
    num_to_confirm: int


class Display(Listener, Protocol):
    """Shows a run while it goes on."""

    def on_plan(self, plan: Plan) -> None:
        """The plan is known; nothing runs yet."""
        ...

    def on_suggestion(self, plan: Plan, ahead: FurtherTrials) -> None:
        """A search goes on with more trials; others may follow these."""
        ...

    def on_best(self, text: str) -> None:
        """What a search found so far, in words."""
        ...

    def on_preparation(self, what: str) -> None:
        """Something that takes a while begins, such as making latents."""
        ...

    def on_report(self) -> None:
        """A report is written, which takes a while."""
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
