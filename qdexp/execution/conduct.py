"""The main use case: bring an experiment's missing trials to an outcome, and record each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.execution.collaborators import Collaborators
from qdexp.execution.mirroring import entry_of
from qdexp.execution.planning import asked_trials, plan_of
from qdexp.execution.ports import Assignment, Reported, Workspace
from qdexp.execution.scribe import Scribe
from qdexp.execution.stages import stages, without_teacher
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT, cache_folder, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder

if TYPE_CHECKING:
    from qdexp.config.data_config import DataConfig


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """What a run did.

    Args:
        num_run: Outcomes that this run recorded.
        num_incomplete: Trials of the experiment whose outcome is not `completed`.
        notes: What could not be mirrored or drawn, in words.
        reported: The report, if one was wanted.
    """

    num_run: int
    num_incomplete: int
    notes: tuple[str, ...]
    reported: Reported | None = None


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
        scribe = Scribe(plan, recorder, ledger, outside)
        reported = None
        place = outside.tracker.place
        behind = [] if place is None else ledger.unmirrored(spec.name, place)
        if plan.to_run or behind:
            latents = _prepared(plan, runs, outside)
            outside.tracker.open_experiment(entry_of(ledger.specs(spec.name)[-1]))
            try:
                scribe.catch_up(behind)
                _run_missing(plan, ledger, latents, scribe, outside)
                reported = outside.report() if outside.report else None
            finally:
                scribe.close(reported)
        elif outside.report:
            reported = outside.report()
        members = [member for member in ledger.members(spec.name) if member.is_asked_for]
    incomplete = [m for m in members if not m.outcome or m.outcome.status != "completed"]
    return Conducted(
        num_run=scribe.num_outcomes,
        num_incomplete=len(incomplete),
        notes=tuple(scribe.notes),
        reported=reported,
    )


def _run_missing(
    plan: Plan,
    ledger: Ledger,
    latents: "dict[DataConfig, Path]",
    scribe: Scribe,
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


def _able(stage: Sequence[PlannedTrial], ledger: Ledger, scribe: Scribe) -> list[PlannedTrial]:
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
