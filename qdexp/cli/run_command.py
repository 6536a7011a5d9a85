"""`qdexp run`: from a spec to its report, as people follow it."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qdexp.api.composition import Audience, RunOptions, carry_out, refreshed
from qdexp.api.composition import dataset_of as dataset_with
from qdexp.api.request import Request
from qdexp.cli.ending import ending
from qdexp.cli.impatience import signals_interrupt
from qdexp.cli.tables import wrapped

if TYPE_CHECKING:
    from qdexp.data.dataset import LatentDataset
    from qdexp.execution.collaborators import Display

__all__ = ["Request", "dataset_of", "listening", "run", "signals_interrupt"]


def run(request: Request, options: RunOptions, *, with_report: bool) -> int:
    """Runs what is missing and reports; returns the exit code.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    spec, began = request.read_spec(), time.monotonic()
    done = carry_out(
        spec,
        request.runs_folder,
        options,
        report=partial(refreshed, spec.name, request.runs_folder) if with_report else None,
        listening=lambda: listening(spec.metrics.primary),
        interrupting=signals_interrupt,
    )
    if done.stopped:
        _say(done.stopped)
    for note in done.notes:
        _say(f"not mirrored: {note}")
    seconds = time.monotonic() - began
    for line in ending(spec.name, request.runs_folder, num_run=done.num_run, seconds=seconds):
        typer.echo(wrapped(line))
    if done.reported:
        for line in done.reported.summary:
            typer.echo(wrapped(line))
        typer.echo(f"report: {done.reported.page}")
    return 1 if done.num_incomplete else 0


def audience(display: "Display | None" = None) -> Audience:
    """Returns who hears of an encoding of videos, on stderr, and of a run by `display`."""
    from qdexp.cli.encoding_display import PlainDisplay

    watch = PlainDisplay().show
    if display is None:
        return Audience(watch=watch, say=_say)
    return Audience(display=display, watch=watch, say=_say)


def dataset_of(runs: Path) -> "LatentDataset":
    """Returns the clips behind any configuration, as `run`, `plan` and `train` know them."""
    return dataset_with(runs, audience())


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def listening(primary: str) -> Generator[Audience]:
    """Lends who hears of a run on stderr: a table in a terminal, lines elsewhere."""
    with _display(primary) as display:
        yield audience(display)


@contextmanager
def _display(primary: str) -> "Generator[Display]":
    from rich.console import Console

    from qdexp.cli.display import LiveDisplay, PlainDisplay

    if not sys.stderr.isatty():
        yield PlainDisplay(primary)
        return
    # This very stream: Console(stderr=True) would find a running trial's log in its place.
    with LiveDisplay(Console(file=sys.stderr), primary) as display:
        yield display
