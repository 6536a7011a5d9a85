"""What the use cases need from the outside, as Protocols."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qdexp.config.data_config import DataConfig
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Outcome, Progress


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The folders of one trial; all absolute.

    Args:
        folder: The trial's own folder, for checkpoints and large files. Kept between attempts.
        latents: The prepared latent cache.
        start_from: A checkpoint of a trial with the same trajectory to go on from, if any.
        teacher: The final checkpoint of the trial's teacher, if it has one.
    """

    folder: Path
    latents: Path
    start_from: Path | None = None
    teacher: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A trial and where it runs: what an executor receives.

    Args:
        trial: The trial.
        workspace: Its folders.
        storage: The URI of the storage that its files travel through, where the worker does not
            see the driver's folders.
    """

    trial: Trial
    workspace: Workspace
    storage: str | None = None

    def to_json(self) -> str:
        """Returns the text that a worker receives."""
        start_from, teacher = self.workspace.start_from, self.workspace.teacher
        return json.dumps(
            {
                "trial": self.trial.to_json(),
                "folder": str(self.workspace.folder),
                "latents": str(self.workspace.latents),
                "start_from": str(start_from) if start_from else None,
                "teacher": str(teacher) if teacher else None,
                "storage": self.storage,
            }
        )

    @staticmethod
    def from_json(text: str) -> "Assignment":
        """Builds the assignment that `to_json` described."""
        content = json.loads(text)
        start_from, teacher = content["start_from"], content["teacher"]
        workspace = Workspace(
            folder=Path(content["folder"]),
            latents=Path(content["latents"]),
            start_from=Path(start_from) if start_from else None,
            teacher=Path(teacher) if teacher else None,
        )
        return Assignment(
            trial=Trial.from_json(content["trial"]),
            workspace=workspace,
            storage=content.get("storage"),
        )


class Trainable(Protocol):
    """What a spec's `trainable` names: yields progress, then the outcome, last."""

    def __call__(self, trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
        """Runs a trial; closing the iterator stops it at a safe point."""
        ...


class Listener(Protocol):
    """Hears, in the driver and one at a time, what happens to trials."""

    def on_start(self, trial_id: str) -> None:
        """An attempt at a trial began (again, if it is retried)."""
        ...

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """A running trial reported."""
        ...

    def on_outcome(self, outcome: Outcome) -> None:
        """A trial ended; heard exactly once for each assignment that was not interrupted."""
        ...


class Executor(Protocol):
    """Runs trials somewhere."""

    def check(self) -> None:
        """Accepts to run trials here; called before anything is written.

        Raises:
            RequestError: The resources asked for do not exist here.
        """
        ...

    def execute(self, assignments: Sequence[Assignment], listener: Listener) -> None:
        """Runs every assignment and tells `listener` of each; a trial's failure is an outcome.

        Raises:
            InterruptedRunError: A signal stopped it; trials without an outcome are resumable.
        """
        ...


class Tracker(Protocol):
    """A mirror of the ledger in a tool for browsing. Its failures never stop trials."""

    def open_experiment(self, name: str, description: str) -> None:
        """Begins or continues the experiment's own entry, under which trials are nested."""
        ...

    def start_trial(
        self, trial: Trial, condition: Condition, tags: Mapping[str, str], started_at: float
    ) -> None:
        """Begins or continues the one entry of a trial; `started_at` in seconds since 1970."""
        ...

    def log(self, trial_id: str, progress: Progress) -> None:
        """Mirrors a report."""
        ...

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Mirrors an outcome, its history, and files as artifacts."""
        ...

    def close(self) -> Sequence[str]:
        """Waits until all is written; returns what could not be mirrored, in words."""
        ...


class Dataset(Protocol):
    """The clips behind a configuration."""

    def fingerprint(self, config: DataConfig) -> str:
        """Returns a hash of the inputs, without computing latents or importing torch."""
        ...

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        """Makes the latents once under `cache` and returns their folder.

        Raises:
            DataError: The inputs are not what they should be.
        """
        ...
