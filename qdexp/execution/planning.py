"""From a spec and a runs folder to a plan, without touching anything."""

from collections.abc import Sequence

from qdexp.execution.ports import Dataset
from qdexp.experiment.plan import Former, Known, Plan, make_plan
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.folders import FINAL_CHECKPOINT, latest_step, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.provenance import duration
from qdexp.results.sealed import is_whole


def plan_of(spec: Spec, ledger: Ledger, dataset: Dataset) -> Plan:
    """Returns what a run of `spec` over the ledger's runs folder would do."""
    asked = asked_trials(spec, dataset)
    ids = {trial.trial_id for trial, _ in asked}
    members = ledger.members(spec.name)
    former = [
        Former(trial=member.trial, trial_id=member.trial_id, condition=member.condition)
        for member in members
        if member.trial_id not in ids
    ]
    known = {trial.trial_id: _known(trial, ledger) for trial, _ in asked}
    for trial, _ in asked:
        if trial.teacher and not known[trial.trial_id].is_final:
            identity = trial.teacher.trial_id
            known[identity] = _able_to_teach(trial.teacher, known[identity], ledger)
    return make_plan(spec.name, asked, known, former)


def asked_trials(spec: Spec, dataset: Dataset) -> list[tuple[Trial, Condition]]:
    """Returns the trials that a spec asks for, each with its condition: teachers, with none, first.

    Conditions of a seed share a teacher; one that is itself a condition comes once.
    """
    fingerprints = [
        dataset.fingerprint(configuration.data) for _, configuration in spec.grid.conditions
    ]
    asked = spec.trials(fingerprints)
    teachers = {trial.teacher.trial_id: trial.teacher for trial, _ in asked if trial.teacher}
    for trial, _ in asked:
        teachers.pop(trial.trial_id, None)
    nothing: Condition = {}
    return [(teacher, nothing) for teacher in teachers.values()] + asked


def mean_seconds(members: Sequence[TrialRecord]) -> float | None:
    """Returns the mean duration in seconds of the completed trials, or None without any."""
    durations = [
        seconds
        for outcome in (member.outcome for member in members)
        if outcome
        and outcome.status == "completed"
        and (seconds := duration(outcome.provenance)) is not None
    ]
    return sum(durations) / len(durations) if durations else None


def _known(trial: Trial, ledger: Ledger) -> Known:
    record = ledger.find(trial.trial_id)
    outcome = record and record.outcome
    if record and outcome and record.is_settled:
        return Known(status=outcome.status, is_final=True)
    folder = trial_folder(ledger.runs, trial.trial_id)
    step, origin = latest_step(folder), None
    if (folder / FINAL_CHECKPOINT).exists():
        step = trial.configuration.num_steps
    if step is None:
        step, origin = _shorter(trial, ledger)
    reason = outcome.failure.reason if outcome and outcome.failure else ""
    status = outcome.status if outcome else None
    if record and record.invalidated is not None:
        status, reason = "invalidated", record.invalidated
    return Known(status=status, reason=reason, step=step, origin=origin)


def _able_to_teach(teacher: Trial, known: Known, ledger: Ledger) -> Known:
    """Returns what is known of a teacher somebody waits for: without its weights it is not done."""
    folder = trial_folder(ledger.runs, teacher.trial_id)
    weights = folder / FINAL_CHECKPOINT
    if known.status != "completed" or is_whole(weights):
        return known
    problem = "damaged" if weights.exists() else "gone"
    return Known(
        status="completed",
        reason=f"its final checkpoint is {problem}, and a student needs it",
        step=latest_step(folder),
    )


def _shorter(trial: Trial, ledger: Ledger) -> tuple[int | None, str | None]:
    """Returns the longest finished trial that this one can continue: its steps and its id."""
    candidates = [
        (other.counted.step, other.trial_id)
        for other in ledger.on_trajectory(trial.trajectory_id)
        if other.trial_id != trial.trial_id
        and other.counted
        and other.counted.status == "completed"
        and other.counted.step <= trial.configuration.num_steps
        and (trial_folder(ledger.runs, other.trial_id) / FINAL_CHECKPOINT).exists()
    ]
    return max(candidates, default=(None, None))
