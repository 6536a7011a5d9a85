"""The tracker of a run that is not mirrored anywhere: the ledger alone keeps what happened."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Outcome, Progress


class Untracked:
    """A tracker that writes nothing."""

    def open_experiment(self, name: str, description: str) -> None:
        """Does nothing."""

    def start_trial(
        self, trial: Trial, condition: Condition, tags: Mapping[str, str], started_at: float
    ) -> None:
        """Does nothing."""

    def log(self, trial_id: str, progress: Progress) -> None:
        """Does nothing."""

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Does nothing."""

    def close(self) -> Sequence[str]:
        """Returns no problem."""
        return ()
