"""Assignments of the trainables in `toy_trainables`, and a listener that remembers."""

import threading
from pathlib import Path

from qdexp.config.presets import preset
from qdexp.execution.ports import Assignment, Executor, Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress


def assignment(  # noqa: PLR0913 - each is what some test varies
    folder: Path,
    toy: str,
    *,
    seed: int = 0,
    num_threads: int = 1,
    budget: float | None = None,
    start_from: Path | None = None,
) -> Assignment:
    """Returns an assignment of a toy, whose folder is there, as a driver makes it."""
    trial = Trial(
        configuration=preset("tiny").replace({"training.num_threads": num_threads}),
        seed=seed,
        data_fingerprint="none",
        trainable=f"toy_trainables:{toy}",
    )
    own = folder / trial.trial_id
    own.mkdir(exist_ok=True)
    workspace = Workspace(folder=own, latents=folder / "latents", start_from=start_from)
    return Assignment(trial=trial, workspace=workspace, budget_seconds=budget)


class Heard:
    """A listener that remembers everything; like a ledger, it cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.events: list[tuple[str, str | Progress | Outcome]] = []

    def on_start(self, trial_id: str) -> None:
        self.events.append((trial_id, "start"))

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self.events.append((trial_id, progress))

    def on_outcome(self, outcome: Outcome) -> None:
        ended = any(isinstance(event, Outcome) for event in self.of(outcome.trial_id)[-1:])
        assert not ended, "an outcome is heard once for each attempt"
        self.events.append((outcome.trial_id, outcome))

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {trial_id: each for trial_id, each in self.events if isinstance(each, Outcome)}

    def of(self, trial_id: str) -> list[str | Progress | Outcome]:
        return [event for other, event in self.events if other == trial_id]

    def outcome(self, one: Assignment) -> Outcome:
        return self.outcomes[one.trial.trial_id]


def executed(executor: Executor, *trials: Assignment) -> list[Outcome]:
    """Executes assignments and returns their outcomes, in their order."""
    heard = Heard()
    executor.execute(trials, heard)
    return [heard.outcome(each) for each in trials]
