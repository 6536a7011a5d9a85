"""The composition root of experiments: who does what, from a request to its report."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qdexp.api.importance import importance
from qdexp.api.interruption import signals_interrupt
from qdexp.api.judge import ReportJudge
from qdexp.api.pictures import draw
from qdexp.execution.silence import SILENT
from qdexp.results.folders import cache_folder
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.api.request import Request
    from qdexp.backends.place import ExecutorName, Place
    from qdexp.data.dataset import LatentDataset
    from qdexp.data.video_encoding import EncodingProgress
    from qdexp.execution.collaborators import Collaborators, Display
    from qdexp.execution.conduct import Conducted
    from qdexp.execution.ports import Reported, Tracker
    from qdexp.execution.search_ports import SearchExecutor
    from qdexp.experiment.plan import Plan
    from qdexp.experiment.spec import Spec


class Conducting(Protocol):
    """Runs what is missing of an experiment, and writes its report if that is wanted."""

    def __call__(self, of: "Spec", report: "Report | None" = None) -> "Conducted":
        """Runs an experiment of those that share the workers."""
        ...


class Report(Protocol):
    """Writes the report of an experiment."""

    def __call__(self, display: "Display") -> "Reported":
        """Writes it, and tells the display where that takes a while."""
        ...


def _nothing(_told: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Who hears of a run while it goes on; nobody unless given.

    Args:
        display: Hears what happens to trials.
        watch: Hears how far an encoding of videos is.
        say: Hears, in words, what is worth knowing of the videos.
    """

    display: "Display" = SILENT
    watch: "Callable[[EncodingProgress], None]" = _nothing
    say: Callable[[str], None] = _nothing


NOBODY = Audience()


@contextmanager
def nobody() -> "Generator[Audience]":
    """Lends an audience in which nobody is."""
    yield NOBODY


NO_TRACKING = "none"
"""The tracking URI that stands for no mirror at all."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How an experiment is run.

    Args:
        place: Where trials go.
        tracking_uri: Where MLflow mirrors it; None for its variable's or else the runs folder,
            `NO_TRACKING` for nowhere, and then a later run catches up.
        keep_going: Whether to go on where the first trials all fail with the same error.
    """

    place: "Place"
    tracking_uri: str | None = None
    keep_going: bool = False


def run_options(
    executor: "ExecutorName",
    place: "Place | None",
    tracking: bool | str,
    *,
    keep_going: bool,
) -> RunOptions:
    """Returns how an experiment is run.

    Args:
        executor: Where trials go, unless `place` says so.
        place: Where trials go.
        tracking: Whether MLflow mirrors it, or the URI where.
        keep_going: Whether to go on where the first trials all fail with the same error.
    """
    from qdexp.backends.place import Place

    uri = tracking if isinstance(tracking, str) else None if tracking else NO_TRACKING
    return RunOptions(
        place=place or Place(executor=executor), tracking_uri=uri, keep_going=keep_going
    )


def carry_out(
    spec: "Spec",
    runs: Path,
    options: RunOptions,
    *,
    report: Report | None = None,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> "Conducted":
    """Runs what is missing of an experiment.

    Args:
        spec: What is asked for.
        runs: The runs folder, absolute.
        options: How.
        report: Writes the experiment's report, or None if none is wanted.
        listening: Lends who hears of it.
        interrupting: Makes signals an interruption; `signals_interrupt` unless given.

    Raises:
        RequestError: The data or the resources asked for do not exist; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    with at_work(spec, runs, options, listening=listening, interrupting=interrupting) as conducted:
        return conducted(spec, report)


@contextmanager
def at_work(
    spec: "Spec",
    runs: Path,
    options: RunOptions,
    *,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> "Generator[Conducting]":
    """Lends what runs one experiment after another with the same workers; see `workshop`."""
    from qdexp.execution.conduct import conduct

    with workshop(spec, runs, options, listening=listening, interrupting=interrupting) as shop:

        def conducted(of: "Spec", report: Report | None = None) -> "Conducted":
            return conduct(of, runs, shop.outside(report), keep_going=options.keep_going)

        yield conducted


class Workshop:
    """Workers that are kept from one experiment to the next, and what else a run needs.

    Args:
        runs: The runs folder.
        executor: Runs trials.
        tracking_uri: Where MLflow mirrors them.
        audience: Who hears of it.
    """

    def __init__(
        self,
        runs: Path,
        executor: "SearchExecutor",
        tracking_uri: str | None,
        audience: Audience,
    ) -> None:
        self.executor = executor
        self.runs = runs
        self._tracking_uri = tracking_uri
        self._audience = audience
        self._say = audience.say  # where it is mirrored, once

    def outside(self, report: Report | None) -> "Collaborators":
        """Returns the outside of one run, with a tracker of its own."""
        from qdexp.execution.collaborators import Collaborators
        from qdexp.results.provenance import driver_provenance

        tracker = tracker_of(self.runs, self._tracking_uri, self._say)
        self._say = _nothing
        return Collaborators(
            dataset=dataset_of(self.runs, self._audience),
            executor=self.executor,
            tracker=tracker,
            display=self._audience.display,
            draw=draw,
            provenance=driver_provenance(),
            report=partial(report, self._audience.display) if report else None,
            judge=ReportJudge(),
        )


@contextmanager
def workshop(
    spec: "Spec",
    runs: Path,
    options: RunOptions,
    *,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> "Generator[Workshop]":
    """Lends workers for a while.

    Args:
        spec: What all that runs shares: the trainable, and what a trial gets.
        runs: The runs folder, absolute.
        options: How.
        listening: Lends who hears of it.
        interrupting: Makes signals an interruption; `signals_interrupt` unless given.

    Raises:
        RequestError: The data or the resources asked for do not exist; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    from qdexp.backends.place import take_back
    from qdexp.execution.deferred import DeferredExecutor

    with (interrupting or signals_interrupt)(), listening() as audience, ExitStack() as kept:
        take_back(runs, audience.say)
        lent = options.place.executor_for(spec, runs, audience.say)
        executor = DeferredExecutor(lambda: kept.enter_context(lent))
        yield Workshop(runs, executor, options.tracking_uri, audience)


def plan_request(request: "Request", audience: Audience = NOBODY) -> "Plan":
    """Returns what a run would do with every trial, and why; touches nothing.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    from qdexp.execution.planning import plan_of

    spec = request.read_spec()
    with Ledger(request.runs_folder) as ledger:
        return plan_of(spec, ledger, dataset_of(request.runs_folder, audience), ReportJudge())


def tracker_of(runs: Path, tracking_uri: str | None, say: Callable[[str], None]) -> "Tracker":
    """Returns what mirrors the ledger; says so where it is not in the runs folder.

    Raises:
        RequestError: The tracking URI is wrong.
    """
    if tracking_uri == NO_TRACKING:
        from qdexp.execution.mirroring import NoTracker

        return NoTracker()
    from qdexp.backends.mlflow_tracker import MlflowTracker, location_of

    location = location_of(runs, tracking_uri)
    if location.chosen_by:
        say(f"mirrored in MLflow at {location.in_words} ({location.chosen_by})")
    return MlflowTracker(location)


def refreshed(name: str, runs: Path, display: "Display" = SILENT) -> "Reported":
    """Returns an experiment's report: the written one where that is what a new one would be.

    Args:
        name: The experiment.
        runs: The runs folder.
        display: Hears of it if one is written.

    Raises:
        RequestError: The folder cannot be written.
        LedgerError: The ledger cannot be read.
    """
    from qdexp_analysis import current, write_report

    from qdexp.execution.ports import Reported

    files = current(name, runs)
    if files is None:
        display.on_report()
        files = write_report(name, runs, importance=importance)
    return Reported(summary=tuple(files.summary_lines), page=files.html)


def dataset_of(runs: Path, audience: Audience = NOBODY) -> "LatentDataset":
    """Returns the clips behind any configuration, as `run`, `plan` and `train` know them."""
    from qdexp.data.dataset import LatentDataset

    return LatentDataset(cache_folder(runs), watch=audience.watch, say=audience.say)
