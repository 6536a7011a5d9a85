"""`qdexp ablate`: an ablation path, as people follow it."""

import time

import typer

from qdexp.api.ablating import Experimented, ablated
from qdexp.api.ablation_request import AblationRequest
from qdexp.api.composition import RunOptions
from qdexp.cli.ending import ending
from qdexp.cli.impatience import signals_interrupt
from qdexp.cli.run_command import listening
from qdexp.cli.tables import wrapped


def ablate(
    request: AblationRequest, options: RunOptions, leave_one_out: bool, with_report: bool
) -> int:
    """Runs what is missing of a path and reports; returns the exit code.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    began = time.monotonic()
    metric = request.read().shared.metrics.primary
    done = ablated(
        request,
        options,
        leave_one_out=leave_one_out,
        with_report=with_report,
        listening=lambda: listening(metric),
        interrupting=signals_interrupt,
    )
    made = [each for each in (done.path, done.left_out) if each]
    for note in (note for each in made for note in each.conducted.notes):
        typer.echo(f"not mirrored: {note}", err=True)
    seconds = time.monotonic() - began
    typer.echo(wrapped(f"from the baseline to {done.winner}:"))
    for step in done.steps:
        typer.echo(wrapped(step))
    for each in made:
        _show(each, request, seconds=seconds)
    if done.search:
        typer.echo(f"report: {done.search.page}")
    is_complete = done.is_whole and not any(each.conducted.num_incomplete for each in made)
    return 0 if is_complete else 1


def _show(made: Experimented, request: AblationRequest, *, seconds: float) -> None:
    for line in ending(made.name, request.runs_folder, num_run=made.num_run, seconds=seconds):
        typer.echo(wrapped(line))
    typer.echo(f"spec: {made.file}")
    if reported := made.conducted.reported:
        for line in reported.summary:
            typer.echo(wrapped(line))
        typer.echo(f"report: {reported.page}")
