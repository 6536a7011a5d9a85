"""From a planned trial to an assignment: its folders, where it begins, what it may use."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.config.own_configuration import OwnConfiguration
from qdexp.execution.machine import num_gpus
from qdexp.execution.measured import gpu_memory_bytes
from qdexp.execution.ports import Assignment, Workspace
from qdexp.execution.shape import shape_of
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
        self._shares_gpus = spec.resources.gpus is None and num_gpus() > 0
        self._peaks: dict[str, float | None] = {}

    def assignment(self, planned: PlannedTrial) -> Assignment:
        """Returns a trial with its folders, and the checkpoints that it begins with."""
        trial, runs = planned.trial, self.ledger.runs
        folder = trial_folder(runs, trial.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        origin = planned.origin
        start_from = origin and trial_folder(runs, origin) / FINAL_CHECKPOINT
        teacher = trial.teacher and trial_folder(runs, trial.teacher.trial_id) / FINAL_CHECKPOINT
        is_own = isinstance(trial.configuration, OwnConfiguration)
        workspace = Workspace(
            folder=folder,
            latents=None if is_own else self._latents[trial.ours.data],
            start_from=start_from if start_from and start_from.exists() else None,
            teacher=teacher,
        )
        return Assignment(
            trial=trial,
            workspace=workspace,
            budget_seconds=self._budget_seconds,
            peak_memory_bytes=self._peak(trial),
        )

    def _peak(self, trial: Trial) -> float | None:
        """Returns the memory of a GPU that a trial of this shape held; not without a GPU here."""
        if not self._shares_gpus:
            return None
        shape = shape_of(trial).steps
        if shape not in self._peaks:
            self._peaks[shape] = gpu_memory_bytes(self.ledger, trial)
        return self._peaks[shape]
