"""From a spec and a runs folder to a plan, without touching anything."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qdexp.config.configuration import Configuration
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.config.settings import Settings
from qdexp.execution.looking import FIRST_LOOK, Judge, ahead_of, trials_wanted
from qdexp.execution.ports import Dataset
from qdexp.experiment.plan import Former, Known, Plan, make_plan
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.folders import FINAL_CHECKPOINT, latest_step, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.overview import (
    Standing,
    completed_on,
    former_members,
    other_experiments,
    standings,
)
from qdexp.results.sealed import is_whole


def plan_of(spec: Spec, ledger: Ledger, dataset: Dataset, judge: Judge = FIRST_LOOK) -> Plan:
    """Returns what a run of `spec` over the ledger's runs folder would do now.

    Where seeds are added until all is decided, that is up to the next look.
    """
    asked = asked_trials(spec, ledger, dataset, judge)
    ids = [trial.trial_id for trial, _ in asked]
    former = [
        Former(
            trial=member.trial,
            trial_id=member.trial_id,
            condition=member.condition,
            revision=member.revision,
        )
        for member in former_members(ledger, spec.name, ids)
    ]
    plan = plan_of_trials(spec.name, asked, ledger, former)
    return replace(plan, ahead=ahead_of(spec, asked))


def plan_of_trials(
    experiment: str,
    asked: Sequence[tuple[Trial, Condition]],
    ledger: Ledger,
    former: Sequence[Former] = (),
) -> Plan:
    """Returns what a run of these trials would do now.

    Args:
        experiment: Who asks for them.
        asked: The trials, each with its condition, teachers among them.
        ledger: What is known of them.
        former: What the experiment once asked for and does no more.
    """
    known = _known([trial for trial, _ in asked], ledger)
    for trial, _ in asked:
        if trial.teacher and not known[trial.trial_id].is_final:
            identity = trial.teacher.trial_id
            known[identity] = _able_to_teach(trial.teacher, known[identity], ledger)
    shared = other_experiments(ledger, experiment, [trial.trial_id for trial, _ in asked])
    return make_plan(experiment, asked, known, former, shared)


def asked_trials(
    spec: Spec, ledger: Ledger, dataset: Dataset, judge: Judge
) -> list[tuple[Trial, Condition]]:
    """Returns the trials that a spec asks for, each with its condition: teachers, with none, first.

    Conditions of a seed share a teacher; one that is itself a condition comes once.
    """
    fingerprints = [fingerprint_of(each, dataset) for _, each in spec.grid.conditions]
    return with_teachers(trials_wanted(spec, fingerprints, ledger, judge))


def with_teachers(asked: list[tuple[Trial, Condition]]) -> list[tuple[Trial, Condition]]:
    """Returns trials with those that they learn from, which have no condition, before them."""
    teachers = {trial.teacher.trial_id: trial.teacher for trial, _ in asked if trial.teacher}
    for trial, _ in asked:
        teachers.pop(trial.trial_id, None)
    nothing: Condition = {}
    return [(teacher, nothing) for teacher in teachers.values()] + asked


def fingerprint_of(configuration: Settings, dataset: Dataset) -> str:
    """Returns what a trial's id has of the data behind its configuration."""
    if isinstance(configuration, OwnConfiguration):
        return configuration.data_fingerprint
    assert isinstance(configuration, Configuration)
    return dataset.fingerprint(configuration.data)


def _known(trials: Sequence[Trial], ledger: Ledger) -> dict[str, Known]:
    """Returns what is known of trials, by id; the ledger is asked for all of them at once."""
    standing = standings(ledger, [trial.trial_id for trial in trials])
    folders = _names(ledger.runs / "trials")
    known: dict[str, Known] = {}
    alone: list[Trial] = []
    for trial in trials:
        last = standing.get(trial.trial_id, Standing(status=None))
        step = None
        if not last.is_final:
            if trial.trial_id in folders:
                step = _own_step(trial, ledger.runs)
            if step is None:
                alone.append(trial)
        known[trial.trial_id] = Known(
            status=last.status,
            is_final=last.is_final,
            reason=last.reason,
            invalidated=last.invalidated,
            step=step,
        )
    for trial_id, (step, origin) in _shorter(alone, ledger, folders).items():
        known[trial_id] = replace(known[trial_id], step=step, origin=origin)
    return known


def _names(folder: Path) -> frozenset[str]:
    """Returns what is in a folder: to look for it there one by one takes longer than all else."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()


def _own_step(trial: Trial, runs: Path) -> int | None:
    """Returns the step of the trial's furthest checkpoint, or None."""
    folder = trial_folder(runs, trial.trial_id)
    if (folder / FINAL_CHECKPOINT).exists():
        return trial.configuration.num_steps
    return latest_step(folder)


def _able_to_teach(teacher: Trial, known: Known, ledger: Ledger) -> Known:
    """Returns what is known of a teacher somebody waits for: without its weights it is not done."""
    folder = trial_folder(ledger.runs, teacher.trial_id)
    weights = folder / FINAL_CHECKPOINT
    if known.status != "completed" or known.invalidated is not None or is_whole(weights):
        return known
    problem = "damaged" if weights.exists() else "gone"
    return Known(
        status="completed",
        reason=f"its final checkpoint is {problem}, and a student needs it",
        step=latest_step(folder),
    )


def _shorter(
    trials: Sequence[Trial], ledger: Ledger, folders: frozenset[str]
) -> dict[str, tuple[int, str]]:
    """Returns the longest finished trial that each can continue, if any: its steps and its id."""
    if not folders:  # without a checkpoint there is nothing to continue
        return {}
    completed = completed_on(ledger, {trial.trajectory_id for trial in trials})
    found: dict[str, tuple[int, str]] = {}
    for trial in trials if completed else ():
        candidates = [
            (step, other)
            for step, other in completed.get(trial.trajectory_id, ())
            if other != trial.trial_id
            and step <= trial.configuration.num_steps
            and other in folders
            and (trial_folder(ledger.runs, other) / FINAL_CHECKPOINT).exists()
        ]
        if candidates:
            found[trial.trial_id] = max(candidates)
    return found
