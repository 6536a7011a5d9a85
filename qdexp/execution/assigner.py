"""From a planned trial to an assignment: its folders, where it begins, what it may use."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.execution.ports import Assignment, Workspace
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.plan import PlannedTrial
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Trial
from qdexp.results.folders import FINAL_CHECKPOINT, trial_folder
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.config.data_config import DataConfig


class Assigner:
    """Makes assignments of an experiment's trials.

    Args:
        spec: The experiment.
        ledger: What is known of trials.
        latents: The folder of each data's latents.
    """

    def __init__(self, spec: Spec, ledger: Ledger, latents: "Mapping[DataConfig, Path]") -> None:
        self.ledger = ledger
        self._latents = latents
        self._budget_seconds = spec.budget.trial
        self._peaks = _measured_peaks(spec.name, ledger) if spec.resources.gpus is None else {}

    def assignment(self, planned: PlannedTrial) -> Assignment:
        """Returns a trial with its folders, and the checkpoints that it begins with."""
        trial, runs = planned.trial, self.ledger.runs
        folder = trial_folder(runs, trial.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        origin = planned.known.origin
        if planned.waits_for and not trial.teacher:
            origin = planned.waits_for
        start_from = origin and trial_folder(runs, origin) / FINAL_CHECKPOINT
        teacher = trial.teacher and trial_folder(runs, trial.teacher.trial_id) / FINAL_CHECKPOINT
        workspace = Workspace(
            folder=folder,
            latents=self._latents[trial.configuration.data],
            start_from=start_from if start_from and start_from.exists() else None,
            teacher=teacher,
        )
        return Assignment(
            trial=trial,
            workspace=workspace,
            budget_seconds=self._budget_seconds,
            peak_memory_bytes=self._peaks.get(_shape(trial)),
        )


def _measured_peaks(experiment: str, ledger: Ledger) -> dict[str, float]:
    """Returns the greatest memory that trials took of a GPU, by what decides about it."""
    peaks: dict[str, float] = {}
    for record in ledger.members(experiment):
        outcome = record.outcome
        if not outcome or outcome.status != "completed":
            continue
        peak = outcome.measurements.get("cost.peak_memory_bytes")
        if peak and outcome.provenance.get("device", "cpu") != "cpu":
            shape = _shape(record.trial)
            peaks[shape] = max(peak, peaks.get(shape, 0.0))
    return peaks


def _shape(trial: Trial) -> str:
    """Returns what decides about a trial's memory: all of it but the seed, to be sure."""
    return canonical_json({"fields": trial.configuration.fields(), "trainable": trial.trainable})
