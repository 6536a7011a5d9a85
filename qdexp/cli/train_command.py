"""`qdexp train`: one training from a configuration file, in one process or under torchrun."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qdexp.cli.run_command import dataset_of
from qdexp.cli.tables import aligned
from qdexp.cli.training_display import progress_display
from qdexp.cli.training_folder import TrainingFolder
from qdexp.config.configuration import Configuration
from qdexp.config.network_file import check_network_files
from qdexp.errors import CheckpointError, InterruptedRunError, QdexpError, RequestError
from qdexp.experiment.configuration_file import read_configuration
from qdexp.results.folders import FINAL_CHECKPOINT, cache_folder, runs_folder
from qdexp.results.outcome import Outcome

if TYPE_CHECKING:
    from qdexp.backends.stop_signal import StopSignal
    from qdexp.data.dataset import LatentDataset
    from qdexp.execution.ports import Workspace
    from qdexp.experiment.trial import Trial
    from qdexp.training.parallel import Ranks

DEFAULT_OUT = Path("outputs")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked on the command line.

    Args:
        config: The configuration's file.
        settings: ``FIELD=VALUE`` texts that are set over it.
        seed: The trial's seed.
        resume: A checkpoint to go on from, or None.
        out: The training's folder, or None for ``outputs/NAME`` with the file's name.
    """

    config: Path
    settings: tuple[str, ...] = ()
    seed: int = 0
    resume: Path | None = None
    out: Path | None = None

    @property
    def folder(self) -> Path:
        """The training's folder, absolute."""
        return (self.out or DEFAULT_OUT / self.config.stem).absolute()

    def command(self, ranks: "Ranks") -> str:
        """Returns the command that asks for the same, to be pasted into a shell."""
        local = os.environ.get("LOCAL_WORLD_SIZE", str(ranks.world_size))
        words = ["torchrun", f"--nproc_per_node={local}", "-m"] if ranks.world_size > 1 else []
        words += ["qdexp", "train", "--config", str(self.config)]
        words += ["--resume", str(self.resume)] if self.resume else []
        words += ["--out", str(self.out)] if self.out else []
        words += [word for setting in self.settings for word in ("--set", setting)]
        words += ["--seed", str(self.seed)] if self.seed else []
        return shlex.join(words)


def train(request: Request) -> int:
    """Trains, measures, prints the measurements; returns the exit code.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same command goes on.
        CheckpointError: The disk is full, or failed.
    """
    configuration = read_configuration(request.config, request.settings)
    check_network_files(configuration.evaluation)
    from qdexp.backends.stop_signal import StopSignal
    from qdexp.training.parallel import joined

    with joined() as ranks:
        dataset = _dataset()
        folders = _folders(request, configuration, ranks, dataset)
        _agreed(ranks, lambda: _begin(folders, ranks))
        latents = _latents(configuration, ranks, dataset)
        with StopSignal() as stop:
            return _Session(request=request, ranks=ranks, stop=stop, latents=latents).run(folders)


@dataclass(frozen=True, kw_only=True)
class _Session:
    """What all trainings of one command share."""

    request: Request
    ranks: "Ranks"
    stop: "StopSignal"
    latents: Path

    def run(self, folders: Sequence[TrainingFolder]) -> int:
        """Trains in every folder, each with the result of the one before as its teacher."""
        teacher: Path | None = None
        *before, last = folders
        for folder in before:
            if not self._is_finished(folder):
                self._say("training the teacher")
                outcome = self._train(folder, teacher)
                if outcome.status != "completed":
                    self._say_why(outcome, "the teacher")
                    return 1
            teacher = folder.final_checkpoint
        if teacher:
            self._say("training the student")
        outcome = self._train(last, teacher)
        if outcome.status != "completed":
            self._say_why(outcome, "the training")
            return 1
        if self.ranks.is_first:
            rows = [(name, f"{value:,.6g}") for name, value in outcome.measurements.items()]
            typer.echo(aligned(("metric", "value"), rows))
            typer.echo(f"checkpoint: {last.final_checkpoint}")
        return 0

    def _is_finished(self, folder: TrainingFolder) -> bool:
        return self.ranks.any(self.ranks.is_first and folder.is_finished())

    def _train(self, folder: TrainingFolder, teacher: Path | None) -> Outcome:
        from qdexp.execution.ports import Workspace

        workspace = Workspace(
            folder=folder.path, latents=self.latents, start_from=folder.start_from, teacher=teacher
        )
        try:
            if self.ranks.is_first:
                folder.open()
            outcome = self._outcome(folder, workspace)
            if self.ranks.is_first:
                folder.close(outcome)
        except OSError as error:
            raise self._unwritten(folder, error) from error
        self._say(*(f"warning: {text}" for text in outcome.warnings))
        return outcome

    def _outcome(self, folder: TrainingFolder, workspace: "Workspace") -> Outcome:
        """Iterates a training to its end, or to where a signal asks to stop."""
        from qdexp.training.run_trial import run_trial

        step = 0
        with (
            progress_display(is_shown=self.ranks.is_first) as show,
            closing(run_trial(folder.trial, workspace)) as reports,
        ):
            for report in reports:
                if isinstance(report, Outcome):
                    return report
                step = report.step
                show(report)
                if self.ranks.any(_was_asked(self.stop)):
                    break
        raise InterruptedRunError(
            f"stopped at step {step} of {folder.trial.configuration.num_steps}; "
            f"{_saved(folder)}; go on with: {self.request.command(self.ranks)}"
        )

    def _unwritten(self, folder: TrainingFolder, error: OSError) -> QdexpError:
        return CheckpointError(
            f"{folder.path}: expected a disk that can be written, found: {error}; {_saved(folder)};"
            f" free space and go on with: {self.request.command(self.ranks)}"
        )

    def _say_why(self, outcome: Outcome, what: str) -> None:
        reason = outcome.failure.reason if outcome.failure else "no reason given"
        self._say(f"{what} {outcome.status}: {reason}")

    def _say(self, *lines: str) -> None:
        if self.ranks.is_first:
            for line in lines:
                typer.echo(line, err=True)


def _folders(
    request: Request, configuration: Configuration, ranks: "Ranks", dataset: "LatentDataset"
) -> tuple[TrainingFolder, ...]:
    """Returns what is trained, teacher first.

    The file says how many clips each process takes, so the training has as many times more.
    """
    from qdexp.experiment.trial import Trial

    whole = configuration.training.batch_size * ranks.world_size
    configuration = configuration.replace({"training.batch_size": whole})
    trial = Trial(
        configuration=configuration,
        seed=request.seed,
        data_fingerprint=dataset.fingerprint(configuration.data),
    )
    resume = request.resume and request.resume.absolute()
    own = TrainingFolder(path=request.folder, trial=trial, start_from=resume)
    if trial.teacher is None:
        return (own,)
    return _teacher_folder(request, trial.teacher), own


def _teacher_folder(request: Request, teacher: "Trial") -> TrainingFolder:
    """Returns where the teacher is trained, or goes on from the one beside a given checkpoint."""
    beside = request.resume and request.resume.absolute().parent / "teacher" / FINAL_CHECKPOINT
    return TrainingFolder(
        path=request.folder / "teacher",
        trial=teacher,
        start_from=beside if beside and beside.is_file() else None,
    )


def _begin(folders: Sequence[TrainingFolder], ranks: "Ranks") -> None:
    """Says what will happen.

    Raises:
        RequestError: It cannot happen.
    """
    from qdexp.training.opening import check_ranks

    check_ranks(folders[-1].trial.ours, ranks)
    beginnings = [folder.starting_point() for folder in folders]
    size = folders[-1].trial.ours.training.batch_size
    if ranks.world_size > 1:
        beginnings.append(
            f"{ranks.world_size} processes, each with {size // ranks.world_size} clips of a "
            f"micro-batch: the same as one process with training.batch_size={size}"
        )
    for line in beginnings:
        typer.echo(line, err=True)


def _agreed(ranks: "Ranks", check: Callable[[], None]) -> None:
    """Lets the first process check something; all of them refuse if it does.

    Raises:
        QdexpError: What the check raised.
    """
    refusal: QdexpError | None = None
    if ranks.is_first:
        try:
            check()
        except QdexpError as error:
            refusal = error
    if ranks.any(refusal is not None):
        raise refusal or RequestError("the first process found the request wrong")


def _dataset() -> "LatentDataset":
    return dataset_of(_runs())


def _runs() -> Path:
    """Returns the folder in which experiments look for latents too.

    Raises:
        RequestError: It is none.
    """
    try:
        return runs_folder(None)
    except RequestError as error:
        raise RequestError(str(error).replace("--runs", "$QDEXP_RUNS")) from None


def _latents(configuration: Configuration, ranks: "Ranks", dataset: "LatentDataset") -> Path:
    """Returns the folder of the latents, made where experiments look for them too."""
    cache = cache_folder(_runs())
    if ranks.is_first and configuration.data.kind != "latents":
        typer.echo(f"latents: looking in {cache}, making them if they are not there", err=True)
    return dataset.prepare(configuration.data, cache)


def _was_asked(stop: "StopSignal") -> bool:
    try:
        stop.check()
    except InterruptedRunError:
        return True
    return False


def _saved(folder: TrainingFolder) -> str:
    newest = folder.newest_checkpoint
    return f"saved in {newest}" if newest else "nothing is saved yet"
