"""`qdexp search`: from a space to its report, as people follow it."""

import time
from typing import TYPE_CHECKING

import typer

from qdexp.api.composition import RunOptions
from qdexp.api.request import Request
from qdexp.api.searching import carry_out_search
from qdexp.cli.ending import ending
from qdexp.cli.impatience import signals_interrupt
from qdexp.cli.run_command import listening
from qdexp.cli.search_words import asked_for_fewer
from qdexp.cli.tables import wrapped
from qdexp.experiment.counting import counted
from qdexp.results.best import best_in_words
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import suggestions_of

if TYPE_CHECKING:
    from qdexp.api.confirming import Confirmed
    from qdexp.execution.conduct import Conducted


def search(
    request: Request, options: RunOptions, *, study_storage: str | None, with_report: bool
) -> int:
    """Searches, confirms if that is asked for, and reports; returns the exit code.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it.
        LedgerError: The ledger cannot be written.
    """
    asked, began = request.read_search(), time.monotonic()
    for note in asked.notes:
        typer.echo(wrapped(f"note: {note}"))
    done, confirmed = carry_out_search(
        asked,
        request.runs_folder,
        options,
        study_storage=study_storage,
        with_report=with_report,
        listening=lambda: listening(asked.spec.metrics.primary),
        interrupting=signals_interrupt,
    )
    if done.stopped:
        typer.echo(done.stopped, err=True)
    for note in done.notes:
        typer.echo(f"not mirrored: {note}", err=True)
    seconds = time.monotonic() - began
    for line in ending(asked.name, request.runs_folder, num_run=done.num_run, seconds=seconds):
        typer.echo(wrapped(line))
    with Ledger(request.runs_folder) as ledger:
        records = suggestions_of(ledger, asked.name)
    if done.why_ended:
        fewer = asked_for_fewer(asked, request.num_trials, records)
        typer.echo(wrapped(f"ended: {fewer or done.why_ended}"))
    typer.echo(wrapped(best_in_words(records, asked.directions, asked.acting)))
    if confirmed:
        _show_confirmed(confirmed)
    _show_report(done)
    has_found = any(each.objectives for each in records)
    return 0 if has_found and not done.stopped else 1


def _show_confirmed(confirmed: "Confirmed") -> None:
    num_run = confirmed.conducted.num_run
    ran = f"{counted(num_run, 'trial')} run" if num_run else "nothing to run"
    typer.echo(f"confirmed by {confirmed.experiment} ({ran}): {confirmed.file}")
    _show_report(confirmed.conducted)


def _show_report(done: "Conducted") -> None:
    if done.reported:
        for line in done.reported.summary:
            typer.echo(wrapped(line))
        typer.echo(f"report: {done.reported.page}")
