"""The folder of one training: whether it may be trained into, and what it holds in the end."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.cli.out_folder import check_writable
from qdexp.errors import CheckpointError, RequestError
from qdexp.experiment.identity import canonical_json, trajectory_fields
from qdexp.experiment.trial import Trial
from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name, numbered_checkpoints
from qdexp.results.outcome import Outcome
from qdexp.results.provenance import driver_provenance
from qdexp.results.sealed import is_whole

if TYPE_CHECKING:
    from qdexp.training.checkpoint import Checkpoint

CONFIGURATION = "configuration.json"
OUTCOME = "outcome.json"

_SHOWN_DIFFERENCES = 3


@dataclass(frozen=True, kw_only=True)
class TrainingFolder:
    """Where one trial is trained.

    Args:
        path: The folder, which may not exist yet.
        trial: What is trained there.
        start_from: A checkpoint to go on from where the folder has none, if any.
    """

    path: Path
    trial: Trial
    start_from: Path | None = None

    @property
    def final_checkpoint(self) -> Path:
        """Where the trained model will be."""
        return self.path / FINAL_CHECKPOINT

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint of the furthest training, whole or not."""
        final = [self.final_checkpoint] if self.final_checkpoint.is_file() else []
        return next(iter([*final, *numbered_checkpoints(self.path)]), None)

    def starting_point(self) -> str:
        """Says where the training will begin; touches nothing.

        Raises:
            RequestError: The folder or `start_from` holds something else than this training.
        """
        check_writable(self.path)
        given = self._given()
        own, notes = self._newest()
        if own and given and given.step > own.step:
            raise RequestError(
                f"--resume: expected a checkpoint that {self.path} has not passed, found step "
                f"{given.step} where the folder is at {own.step}: choose another --out"
            )
        beginning = self._beginning(own or given)
        return "\n".join([*(f"warning: {note}" for note in notes), beginning])

    def is_finished(self) -> bool:
        """Tells whether this very trial was trained and measured here."""
        try:
            outcome = Outcome.from_json((self.path / OUTCOME).read_text())
        except (OSError, ValueError, KeyError, TypeError):
            return False
        is_this = outcome.trial_id == self.trial.trial_id and outcome.status == "completed"
        return is_this and is_whole(self.final_checkpoint)

    def open(self) -> None:
        """Makes the folder, says in it what is trained, and removes what was measured before.

        Raises:
            OSError: It cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / OUTCOME).unlink(missing_ok=True)
        text = self.trial.ours.model_dump_json(indent=2)
        (self.path / CONFIGURATION).write_text(f"{text}\n")
        self._rename_passed_end()

    def close(self, outcome: Outcome) -> None:
        """Writes what came out.

        Raises:
            OSError: It cannot be written.
        """
        known = replace(outcome, provenance=outcome.provenance | driver_provenance())
        temporary = self.path / f"{OUTCOME}.tmp"
        temporary.write_text(known.to_json() + "\n")
        temporary.replace(self.path / OUTCOME)

    def _rename_passed_end(self) -> None:
        """Makes a shorter training's end an ordinary checkpoint: a final one is taken first."""
        from qdexp.training import checkpoint

        found, _ = checkpoint.first_whole([self.final_checkpoint])
        if found and found.step < self.trial.configuration.num_steps:
            self.final_checkpoint.replace(self.path / checkpoint_name(found.step))

    def _given(self) -> "Checkpoint | None":
        from qdexp.training import checkpoint

        if self.start_from is None:
            return None
        try:
            return self._checked(checkpoint.read(self.start_from))
        except CheckpointError as error:
            raise RequestError(f"--resume: {self.start_from}: {error}") from None

    def _newest(self) -> "tuple[Checkpoint | None, list[str]]":
        from qdexp.training import checkpoint

        found, notes = checkpoint.first_whole(checkpoint.newest_first(self.path))
        try:
            return found and self._checked(found), notes
        except CheckpointError as error:
            remedy = "or choose another --out, or delete the folder"
            raise RequestError(f"{self.path}: {error}; {remedy}") from None

    def _checked(self, found: "Checkpoint") -> "Checkpoint":
        from qdexp.training import checkpoint

        trial = self.trial
        if found.trajectory_id != trial.trajectory_id:
            raise CheckpointError(
                "expected a checkpoint of this training, found one of another, with "
                f"{self._differences(found)}: train with what it was trained with"
            )
        checkpoint.check_belongs(
            found,
            trajectory_id=trial.trajectory_id,
            num_steps=trial.configuration.num_steps,
        )
        return found

    def _differences(self, found: "Checkpoint") -> str:
        """Returns in words what another training was trained with."""
        differing = [
            f"{field} {canonical_json(found.configuration.get(field))} instead of "
            f"{canonical_json(value)}"
            for field, value in trajectory_fields(self.trial.configuration.fields()).items()
            if found.configuration.get(field) != value
        ]
        if not differing:
            return "another seed, other data or another version of qdexp"
        more = len(differing) - _SHOWN_DIFFERENCES
        return ", ".join(differing[:_SHOWN_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")

    def _beginning(self, found: "Checkpoint | None") -> str:
        num_steps = self.trial.configuration.num_steps
        if found is None:
            return f"{self.path}: {num_steps} steps from the start"
        if found.step == num_steps:
            return f"{self.path}: finished at step {num_steps}, nothing left to train"
        return f"{self.path}: going on from step {found.step} of {num_steps}"
