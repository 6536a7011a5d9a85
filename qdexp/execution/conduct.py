"""The main use case: bring an experiment's missing trials to an outcome, and record each."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Assignment, Dataset, Executor, Listener, Tracker, Workspace
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT, cache_folder, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome, Progress
from qdexp.results.recorder import Recorder

if TYPE_CHECKING:
    from qdexp.config.configuration import DataConfig


class Display(Listener, Protocol):
    """Shows a run while it goes on."""

    def on_plan(self, plan: Plan) -> None:
        """The plan is known; nothing runs yet."""
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
    """

    dataset: Dataset
    executor: Executor
    tracker: Tracker
    display: Display
    draw: Callable[[Outcome, Path], Sequence[Path]]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """What a run did.

    Args:
        num_run: Outcomes that this run recorded.
        num_incomplete: Trials of the experiment whose outcome is not `completed`.
        notes: What could not be mirrored, in words.
    """

    num_run: int
    num_incomplete: int
    notes: tuple[str, ...]


def conduct(spec: Spec, runs: Path, outside: Collaborators) -> Conducted:
    """Runs what is missing of an experiment; every outcome is in the ledger before anything else.

    Raises:
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        RequestError: The data or the resources asked for do not exist.
        LedgerError: The ledger cannot be written.
    """
    with Recorder(runs) as recorder, Ledger(runs) as ledger:
        plan = plan_of(spec, ledger, outside.dataset)
        recorder.record_plan(
            (spec.file, spec.text, spec.definition()),
            [(planned.trial, planned.condition) for planned in plan.trials],
        )
        outside.display.on_plan(plan)
        notes: Sequence[str] = ()
        num_run = 0
        if plan.to_run:
            assignments = _assignments(plan, runs, outside)
            scribe = _Scribe(plan, recorder, runs, outside)
            outside.tracker.open_experiment(spec.name, spec.question)
            try:
                outside.executor.execute(assignments, scribe)
            finally:
                notes = outside.tracker.close()
                num_run = scribe.num_outcomes
        statuses = [
            member.outcome and member.outcome.status
            for member in ledger.members(spec.name)
            if member.is_asked_for
        ]
    incomplete = sum(status != "completed" for status in statuses)
    return Conducted(num_run=num_run, num_incomplete=incomplete, notes=tuple(notes))


def _assignments(plan: Plan, runs: Path, outside: Collaborators) -> list[Assignment]:
    latents: dict[DataConfig, Path] = {}
    for planned in plan.to_run:
        data = planned.trial.configuration.data
        if data not in latents:
            outside.display.on_preparation(f"{data.kind} latents by {data.autoencoder}")
            latents[data] = outside.dataset.prepare(data, cache_folder(runs))
    return [
        Assignment(
            trial=planned.trial,
            workspace=_workspace(planned, runs, latents[planned.trial.configuration.data]),
        )
        for planned in plan.to_run
    ]


def _workspace(planned: PlannedTrial, runs: Path, latents: Path) -> Workspace:
    folder = trial_folder(runs, planned.trial.trial_id)
    folder.mkdir(parents=True, exist_ok=True)
    origin = planned.known.origin
    start_from = trial_folder(runs, origin) / FINAL_CHECKPOINT if origin else None
    return Workspace(folder=folder, latents=latents, start_from=start_from)


class _Scribe:
    """Writes what it hears to the ledger, then to the tracker, then to the display."""

    def __init__(self, plan: Plan, recorder: Recorder, runs: Path, outside: Collaborators) -> None:
        self._planned = {planned.trial.trial_id: planned for planned in plan.trials}
        self._experiment = plan.experiment
        self._recorder = recorder
        self._runs = runs
        self._outside = outside
        self.num_outcomes = 0

    def on_start(self, trial_id: str) -> None:
        now = time.time()
        self._recorder.record_start(trial_id, now)
        planned = self._planned[trial_id]
        self._outside.tracker.start_trial(
            planned.trial, planned.condition, self._tags(), started_at=now
        )
        self._outside.display.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self._outside.tracker.log(trial_id, progress)
        self._outside.display.on_progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        provenance = {**self._outside.provenance, **outcome.provenance}
        outcome = replace(outcome, provenance=provenance)
        self._recorder.record_outcome(outcome)
        self.num_outcomes += 1
        pictures = self._outside.draw(outcome, trial_folder(self._runs, outcome.trial_id))
        self._outside.tracker.end_trial(outcome, pictures)
        self._outside.display.on_outcome(outcome)

    def _tags(self) -> dict[str, str]:
        return {
            f"qdexp.{name}": str(value)
            for name, value in self._outside.provenance.items()
            if not isinstance(value, Mapping)
        }
