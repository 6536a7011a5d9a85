"""The main use case: bring an experiment's missing trials to an outcome, and record each."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qdexp.execution.planning import asked_trials, plan_of
from qdexp.execution.ports import Assignment, Dataset, Executor, Listener, Tracker, Workspace
from qdexp.execution.stages import stages, without_teacher
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT, cache_folder, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Outcome, Progress
from qdexp.results.provenance import flat
from qdexp.results.recorder import Recorder

if TYPE_CHECKING:
    from qdexp.config.data_config import DataConfig


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
        notes: What could not be mirrored or drawn, in words.
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
    outside.executor.check()
    asked_trials(spec, outside.dataset)  # wrong data are refused before anything is written
    with Recorder(runs) as recorder, Ledger(runs) as ledger:
        plan = plan_of(spec, ledger, outside.dataset)
        recorder.record_plan(
            (spec.file, spec.text, spec.definition()),
            [(planned.trial, planned.condition) for planned in plan.trials],
        )
        outside.display.on_plan(plan)
        scribe = _Scribe(plan, recorder, ledger, outside)
        behind = ledger.unmirrored(spec.name)
        notes: tuple[str, ...] = ()
        if plan.to_run or behind:
            latents = _prepared(plan, runs, outside)
            outside.tracker.open_experiment(spec.name, spec.question)
            try:
                scribe.catch_up(behind)
                _run_missing(plan, ledger, latents, scribe, outside)
            finally:
                notes = tuple(outside.tracker.close())
            if not notes:
                recorder.record_mirrored(spec.name)
            notes += tuple(scribe.notes)
        members = [member for member in ledger.members(spec.name) if member.is_asked_for]
    incomplete = [m for m in members if not m.outcome or m.outcome.status != "completed"]
    return Conducted(num_run=scribe.num_outcomes, num_incomplete=len(incomplete), notes=notes)


def _run_missing(
    plan: Plan,
    ledger: Ledger,
    latents: "dict[DataConfig, Path]",
    scribe: "_Scribe",
    outside: Collaborators,
) -> None:
    if plan.to_run:
        outside.display.on_preparation("workers")
    for stage in stages(plan):
        able = _able(stage, ledger, scribe)
        assignments = [_assignment(each, ledger, latents) for each in able]
        if assignments:
            outside.executor.execute(assignments, scribe)


def _prepared(plan: Plan, runs: Path, outside: Collaborators) -> "dict[DataConfig, Path]":
    """Makes the latents that the plan's trials need, and returns their folders."""
    latents: dict[DataConfig, Path] = {}
    for planned in plan.to_run:
        data = planned.trial.configuration.data
        if data not in latents:
            outside.display.on_preparation(f"{data.kind} latents by {data.autoencoder}")
            latents[data] = outside.dataset.prepare(data, cache_folder(runs))
    return latents


def _able(stage: Sequence[PlannedTrial], ledger: Ledger, scribe: "_Scribe") -> list[PlannedTrial]:
    """Returns the trials that can begin; where a teacher did not complete, its students end so."""
    able: list[PlannedTrial] = []
    for planned in stage:
        teacher = planned.trial.teacher
        record = ledger.find(teacher.trial_id) if teacher else None
        if record and record.outcome and record.outcome.status != "completed":
            scribe.on_start(planned.trial.trial_id)
            scribe.on_outcome(without_teacher(planned.trial, record.outcome))
        else:
            able.append(planned)
    return able


def _assignment(
    planned: PlannedTrial, ledger: Ledger, latents: "Mapping[DataConfig, Path]"
) -> Assignment:
    """Returns a trial with its folders, and the checkpoints that it begins with."""
    trial = planned.trial
    folder = trial_folder(ledger.runs, trial.trial_id)
    folder.mkdir(parents=True, exist_ok=True)
    origin = planned.known.origin
    if planned.waits_for and not trial.teacher:
        origin = planned.waits_for
    start_from = origin and trial_folder(ledger.runs, origin) / FINAL_CHECKPOINT
    teacher = trial.teacher and trial_folder(ledger.runs, trial.teacher.trial_id) / FINAL_CHECKPOINT
    workspace = Workspace(
        folder=folder,
        latents=latents[trial.configuration.data],
        start_from=start_from if start_from and start_from.exists() else None,
        teacher=teacher,
    )
    return Assignment(trial=trial, workspace=workspace)


class _Scribe:
    """Writes what it hears to the ledger, then to the tracker, then to the display."""

    def __init__(
        self, plan: Plan, recorder: Recorder, ledger: Ledger, outside: Collaborators
    ) -> None:
        self._planned = {planned.trial.trial_id: planned for planned in plan.trials}
        self._recorder = recorder
        self._ledger = ledger
        self._outside = outside
        self.num_outcomes = 0
        self.notes: list[str] = []

    def on_start(self, trial_id: str) -> None:
        self._recorder.record_start(trial_id, time.time())
        self._mirror_start(trial_id)
        self._outside.display.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self._outside.tracker.log(trial_id, progress)
        self._outside.display.on_progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        provenance = {**self._outside.provenance, **outcome.provenance}
        outcome = replace(outcome, provenance=provenance)
        self._recorder.record_outcome(outcome)
        self.num_outcomes += 1
        self._mirror_end(outcome)
        self._outside.display.on_outcome(outcome)

    def catch_up(self, behind: Sequence[TrialRecord]) -> None:
        """Mirrors outcomes that the ledger has and the tracker may not have."""
        for record in behind:
            assert record.outcome is not None
            self._mirror_start(record.trial_id)
            history = self._ledger.history(record.trial_id)
            arrays = self._ledger.arrays(record.trial_id)
            self._mirror_end(replace(record.outcome, history=history, arrays=arrays))

    def _mirror_start(self, trial_id: str) -> None:
        """Mirrors a start at the time of the first one, so that a replay repeats no metric."""
        planned = self._planned[trial_id]
        record = self._ledger.find(trial_id)
        started_at = record.started_at if record and record.started_at else time.time()
        tags = {f"qdexp.{name}": value for name, value in flat(self._outside.provenance).items()}
        self._outside.tracker.start_trial(planned.trial, planned.condition, tags, started_at)

    def _mirror_end(self, outcome: Outcome) -> None:
        self._outside.tracker.end_trial(outcome, self._pictures(outcome))

    def _pictures(self, outcome: Outcome) -> Sequence[Path]:
        """Draws an outcome; one that cannot be drawn is as good a result as any other."""
        folder = trial_folder(self._ledger.runs, outcome.trial_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return self._outside.draw(outcome, folder)
        except (OSError, ValueError, ArithmeticError) as error:
            self.notes.append(f"the pictures of trial {outcome.trial_id}: {error}")
            return ()
