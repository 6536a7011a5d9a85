"""The composition root of experiments: who does what, from a request to its report."""

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from qdexp.errors import InterruptedRunError
from qdexp.execution.silence import SILENT
from qdexp.results.folders import REAL_CLIPS, SAMPLED_CLIPS, cache_folder
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.api.request import Request
    from qdexp.data.dataset import LatentDataset
    from qdexp.data.video_encoding import EncodingProgress
    from qdexp.execution.collaborators import Collaborators, Display
    from qdexp.execution.conduct import Conducted
    from qdexp.execution.ports import Executor
    from qdexp.experiment.plan import Plan
    from qdexp.experiment.spec import Spec
    from qdexp.results.outcome import Outcome

ExecutorName = Literal["ray", "inline"]


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


def carry_out(
    spec: "Spec",
    runs: Path,
    *,
    executor: ExecutorName,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    is_tracked: bool = True,
    keep_going: bool = False,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> "Conducted":
    """Runs what is missing of an experiment.

    Args:
        spec: What is asked for.
        runs: The runs folder, absolute.
        executor: What runs trials.
        listening: Lends who hears of it.
        is_tracked: Whether MLflow mirrors it; a later run that does catches up.
        keep_going: Whether to go on where the first trials all fail with the same error.
        interrupting: Makes signals an interruption; `signals_interrupt` unless given.

    Raises:
        RequestError: The data or the resources asked for do not exist; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    from qdexp.backends.untracked import Untracked
    from qdexp.execution.conduct import conduct

    with (interrupting or signals_interrupt)(), listening() as audience:
        outside = _outside(spec, runs, executor, audience)
        if not is_tracked:
            outside = replace(outside, tracker=Untracked(), is_tracked=False)
        return conduct(spec, runs, outside, keep_going=keep_going)


def plan_request(request: "Request", audience: Audience = NOBODY) -> "Plan":
    """Returns what a run would do with every trial, and why; touches nothing.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    from qdexp.execution.planning import plan_of

    spec = request.read_spec()
    with Ledger(request.runs_folder) as ledger:
        return plan_of(spec, ledger, dataset_of(request.runs_folder, audience))


def _outside(
    spec: "Spec", runs: Path, executor: ExecutorName, audience: Audience
) -> "Collaborators":
    from qdexp.backends.mlflow_tracker import MlflowTracker
    from qdexp.execution.collaborators import Collaborators
    from qdexp.execution.deferred import DeferredExecutor
    from qdexp.results.provenance import driver_provenance

    return Collaborators(
        dataset=dataset_of(runs, audience),
        executor=DeferredExecutor(lambda: _executor(spec, runs, executor)),
        tracker=MlflowTracker(runs),
        display=audience.display,
        draw=_draw,
        provenance=driver_provenance(),
    )


def dataset_of(runs: Path, audience: Audience = NOBODY) -> "LatentDataset":
    """Returns the clips behind any configuration, as `run`, `plan` and `train` know them."""
    from qdexp.data.dataset import LatentDataset

    return LatentDataset(cache_folder(runs), watch=audience.watch, say=audience.say)


def _executor(spec: "Spec", runs: Path, name: ExecutorName) -> "Executor":
    if name == "inline":
        from qdexp.backends.inline import InlineExecutor

        return InlineExecutor(resources=spec.resources)
    from qdexp.backends.ray_tune import RayTuneExecutor

    return RayTuneExecutor(storage=runs / "ray", resources=spec.resources)


def _draw(outcome: "Outcome", folder: Path) -> Sequence[Path]:
    """Draws the histogram of a trial's codes, if it counted them; its clips are there already."""
    clips = [folder / name for name in (SAMPLED_CLIPS, REAL_CLIPS) if (folder / name).is_file()]
    counts = outcome.arrays.get("eval.code_counts")
    if counts is None:
        return clips
    from qdexp_analysis.code_histogram import save_code_histogram

    return [save_code_histogram(counts.values, folder / "code_histogram.png"), *clips]


@contextmanager
def signals_interrupt() -> Generator[None]:
    """Makes Ctrl-C, and a scheduler's SIGTERM and SIGUSR1, an interruption that can go on."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    asked = (signal.SIGTERM, signal.SIGUSR1) if is_main else ()
    former = {each: signal.signal(each, interrupt) for each in asked}
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped: what is finished is kept, and the same command goes on from there"
        ) from None
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
