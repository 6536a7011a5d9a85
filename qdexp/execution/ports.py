"""What the use cases need from the outside, as Protocols."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qdexp.config.data_config import DataConfig
from qdexp.experiment.trial import Condition, Trial
from qdexp.results import own_checkpoints
from qdexp.results.outcome import Outcome, Progress


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The folders of one trial; all absolute.

    Args:
        folder: The trial's own folder, for checkpoints and large files. Kept between attempts.
        latents: The prepared latent cache; None for a training of a user's own.
        start_from: A checkpoint of a trial with the same trajectory to go on from, if any.
        teacher: The final checkpoint of the trial's teacher, if it has one.
    """

    folder: Path
    latents: Path | None = None
    start_from: Path | None = None
    teacher: Path | None = None

    def save_checkpoint(self, step: int, content: bytes) -> None:
        """Keeps what a user's own training goes on from: whole, or as if it had not begun.

        Raises:
            CheckpointError: The step is no number from 0, or the content is no bytes.
            OSError: The folder cannot be written; checkpoints that are there stay.
        """
        own_checkpoints.save(self.folder, step, content)

    def latest_checkpoint(self) -> tuple[int, bytes] | None:
        """Returns the step and the content that were saved last, or None.

        One that was damaged is passed over for the one before.
        """
        return own_checkpoints.latest(self.folder)


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A trial and where it runs: what an executor receives.

    Args:
        trial: The trial.
        workspace: Its folders.
        budget_seconds: How long this attempt may take, or None for as long as it wants.
        peak_memory_bytes: What a trial of this very configuration took of a GPU's memory before,
            or None where none was measured.
        storage: The URI of the storage that its files travel through, where the worker does not
            see the driver's folders.
    """

    trial: Trial
    workspace: Workspace
    budget_seconds: float | None = None
    peak_memory_bytes: float | None = None
    storage: str | None = None

    def to_json(self) -> str:
        """Returns the text that a worker receives."""
        paths = {name: path and str(path) for name, path in vars(self.workspace).items()}
        others = {
            "budget_seconds": self.budget_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "storage": self.storage,
        }
        return json.dumps({"trial": self.trial.to_json(), "paths": paths, **others})

    @staticmethod
    def from_json(text: str) -> "Assignment":
        """Builds the assignment that `to_json` described."""
        content = json.loads(text)
        trial = Trial.from_json(content.pop("trial"))
        paths = {name: path and Path(path) for name, path in content.pop("paths").items()}
        return Assignment(trial=trial, workspace=Workspace(**paths), **content)


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

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        """Runs every assignment once and tells `listener` of each; a failure is an outcome.

        Args:
            assignments: The trials.
            listener: Who hears of them; what it raises closes running trials and ends the call.
            deadline: When to stop as at a signal, in seconds of `time.monotonic`.

        Raises:
            InterruptedRunError: A signal stopped it; trials without an outcome are resumable.
            BudgetSpentError: The deadline did.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a mirror shows of an experiment.

    Args:
        name: Its name.
        question: What it asks.
        spec: The text of its spec.
        metrics: The metrics that it names, the primary one first: they are mirrored first.
        command: What of qdexp runs it.
    """

    name: str
    question: str
    spec: str
    metrics: tuple[str, ...] = ()
    command: str = "run"


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A trial that was begun, as a mirror shows it.

    Args:
        trial: The trial.
        condition: Its levels in the experiment.
        tags: Where it comes from, in short texts by name.
        started_at: Time of its first start ever, in seconds since 1970.
        number: Of its suggestion, in a search.
    """

    trial: Trial
    condition: Condition
    tags: Mapping[str, str]
    started_at: float
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A report that was written.

    Args:
        summary: Its verdicts, a paragraph each.
        page: The file to open.
    """

    summary: tuple[str, ...]
    page: Path


class Tracker(Protocol):
    """A mirror of the ledger in a tool for browsing. Its failures never stop trials."""

    @property
    def place(self) -> str | None:
        """Which mirror it is, as the ledger notes it; empty for the runs folder's own.

        None where nothing is mirrored.
        """
        ...

    def open_experiment(self, entry: Entry) -> None:
        """Begins or continues the experiment's own entry, under which trials are nested."""
        ...

    def start_trial(self, begun: Begun) -> None:
        """Begins or continues the one entry of a trial."""
        ...

    def log(self, trial_id: str, progress: Progress) -> None:
        """Mirrors a report."""
        ...

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Mirrors an outcome, its history, and files as artifacts."""
        ...

    def end_experiment(self, reported: Reported) -> None:
        """Mirrors the experiment's report."""
        ...

    def newly_mirrored(self) -> Sequence[str]:
        """Returns the trials whose outcome is mirrored whole, each once."""
        ...

    def close(self) -> Sequence[str]:
        """Waits until all is written, if it can be; returns what is not mirrored, in words."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a look at a mirror found.

    Args:
        mended: What was wrong and is right now, a sentence each.
        unmended: What is still wrong, and what to do.
    """

    mended: tuple[str, ...] = ()
    unmended: tuple[str, ...] = ()

    def __add__(self, other: "Checked") -> "Checked":
        return Checked(mended=self.mended + other.mended, unmended=self.unmended + other.unmended)


class Mirror(Protocol):
    """A mirror that can be compared with the ledger, and mended."""

    @property
    def place(self) -> str:
        """Which mirror it is, as the ledger notes it."""
        ...

    def silence(self) -> str:
        """Returns why it cannot be looked at now, or nothing if it can; asked first."""
        ...

    def check_experiment(self, entry: Entry, report: Callable[[], Reported] | None) -> Checked:
        """Compares an experiment's own entry; the trials checked next belong to it.

        Args:
            entry: The experiment.
            report: Writes its report, where it should have one.
        """
        ...

    def check_trial(
        self,
        begun: Begun,
        outcome: Outcome | None,
        files: Callable[[], Sequence[Path]],
        pictures: Sequence[str],
    ) -> Checked:
        """Compares one trial; `files` draws what belongs to its outcome, if it has one.

        Its folder has `pictures`, by name, already.
        """
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
