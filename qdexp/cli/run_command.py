"""`qdexp run`: the composition root of an experiment, from its spec to its report."""

import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

import typer

from qdexp.cli.tables import wrapped
from qdexp.config.network_file import check_network_files
from qdexp.errors import ConfigurationError, InterruptedRunError
from qdexp.experiment.reader import parse_overrides, read_spec
from qdexp.results.folders import REAL_CLIPS, SAMPLED_CLIPS, cache_folder, runs_folder

if TYPE_CHECKING:
    from qdexp.data.dataset import LatentDataset
    from qdexp.execution.collaborators import Display
    from qdexp.execution.conduct import Conducted
    from qdexp.execution.ports import Executor, Reported, Tracker
    from qdexp.experiment.spec import Spec
    from qdexp.results.outcome import Outcome

NO_TRACKING = "none"
"""What `--tracking-uri` says for no mirror at all."""

ExecutorName = Literal["ray", "inline"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked on the command line of `run` and `plan`.

    Args:
        spec: The spec's path.
        settings: ``FIELD=VALUE`` texts.
        num_seeds: Number of seeds over the spec's, or None.
        runs: The runs folder, or None for the default.
    """

    spec: Path
    settings: tuple[str, ...]
    num_seeds: int | None
    runs: Path | None

    def read_spec(self) -> "Spec":
        """Returns the spec with the command line's changes.

        Raises:
            RequestError: The spec or a change is wrong.
        """
        spec = read_spec(self.spec, parse_overrides(self.settings, self.num_seeds))
        _check_trainable(spec)
        _check_networks(spec)
        return spec

    @property
    def runs_folder(self) -> Path:
        """The absolute runs folder."""
        return runs_folder(self.runs)


def run(
    request: Request,
    *,
    executor: ExecutorName,
    with_report: bool,
    tracking_uri: str | None = None,
) -> int:
    """Runs what is missing and reports; returns the exit code.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    spec = request.read_spec()
    runs = request.runs_folder
    tracker = _tracker(runs, tracking_uri)
    report = partial(reported, spec.name, runs) if with_report else None
    with signals_interrupt():
        done = _conduct(spec, runs, executor, tracker, report)
    for note in done.notes:
        typer.echo(f"not mirrored: {note}", err=True)
    if done.reported:
        for line in done.reported.summary:
            typer.echo(wrapped(line))
        typer.echo(f"report: {done.reported.page}")
    return 1 if done.num_incomplete else 0


def _check_trainable(spec: "Spec") -> None:
    """Accepts a trainable whose module can be found; it is not imported, which may take long."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # it may be a module of the current folder
    module = spec.trainable.partition(":")[0]
    try:
        is_found = find_spec(module) is not None
    except ModuleNotFoundError:
        is_found = False
    if not is_found:
        raise ConfigurationError(
            f"{spec.file}: trainable: expected a module that can be imported from {here}, found "
            f"'{module}'"
        )


def _check_networks(spec: "Spec") -> None:
    """Accepts files of networks that are there and what they should be, each looked at once."""
    evaluations = [configuration.evaluation for _, configuration in spec.grid.conditions]
    different = {each.model_dump_json(): each for each in evaluations}
    try:
        for evaluation in different.values():
            check_network_files(evaluation)
    except ConfigurationError as error:
        raise ConfigurationError(f"{spec.file}: {error}") from None


def _conduct(
    spec: "Spec",
    runs: Path,
    executor: ExecutorName,
    tracker: "Tracker",
    report: "Callable[[], Reported] | None",
) -> "Conducted":
    from qdexp.execution.collaborators import Collaborators
    from qdexp.execution.conduct import conduct
    from qdexp.results.provenance import driver_provenance

    with _display() as display:
        outside = Collaborators(
            dataset=dataset_of(runs),
            executor=_executor(spec, runs, executor),
            tracker=tracker,
            display=display,
            draw=draw,
            provenance=driver_provenance(),
            report=report,
        )
        return conduct(spec, runs, outside)


def _tracker(runs: Path, tracking_uri: str | None) -> "Tracker":
    """Returns what mirrors the ledger; says so where it is not in the runs folder."""
    if tracking_uri == NO_TRACKING:
        from qdexp.execution.mirroring import NoTracker

        return NoTracker()
    from qdexp.backends.mlflow_tracker import MlflowTracker, location_of

    location = location_of(runs, tracking_uri)
    if location.chosen_by:
        typer.echo(f"mirrored in MLflow at {location.in_words} ({location.chosen_by})", err=True)
    return MlflowTracker(location)


def dataset_of(runs: Path) -> "LatentDataset":
    """Returns the clips behind any configuration, as `run`, `plan` and `train` know them."""
    from qdexp.cli.encoding_display import PlainDisplay
    from qdexp.data.dataset import LatentDataset

    return LatentDataset(
        cache_folder(runs),
        watch=PlainDisplay().show,
        say=lambda line: typer.echo(line, err=True),
    )


def _executor(spec: "Spec", runs: Path, name: ExecutorName) -> "Executor":
    if name == "inline":
        from qdexp.backends.inline import InlineExecutor

        return InlineExecutor()
    from qdexp.backends.ray_tune import RayTuneExecutor

    return RayTuneExecutor(storage=runs / "ray", resources=spec.resources)


@contextmanager
def _display() -> "Generator[Display]":
    from rich.console import Console

    from qdexp.cli.display import LiveDisplay, PlainDisplay

    if not sys.stderr.isatty():
        yield PlainDisplay()
        return
    with LiveDisplay(Console(stderr=True)) as display:
        yield display


def draw(outcome: "Outcome", folder: Path) -> Sequence[Path]:
    """Draws the histogram of a trial's codes, if it counted them; its clips are there already."""
    clips = [folder / name for name in (SAMPLED_CLIPS, REAL_CLIPS) if (folder / name).is_file()]
    counts = outcome.arrays.get("eval.code_counts")
    if counts is None:
        return clips
    from qdexp_analysis.code_histogram import save_code_histogram

    return [save_code_histogram(counts.values, folder / "code_histogram.png"), *clips]


def reported(name: str, runs: Path) -> "Reported":
    """Writes an experiment's report from the ledger."""
    from qdexp_analysis import write_report

    from qdexp.execution.ports import Reported

    files = write_report(name, runs)
    return Reported(summary=tuple(files.summary_lines), page=files.html)


@contextmanager
def signals_interrupt() -> Generator[None]:
    """Makes Ctrl-C, and a scheduler's SIGTERM and SIGUSR1, an interruption that can go on."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped: what is finished is kept, and the same command goes on from there"
        ) from None
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
