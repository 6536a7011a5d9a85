"""`qdexp invalidate`: an outcome that counts no more."""

from pathlib import Path

import typer

from qdexp.results.folders import runs_folder
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder


def invalidate(prefix: str, because: str, *, runs: Path | None) -> None:
    """Invalidates a trial's last outcome, and what was made from its weights; prints all of them.

    Raises:
        RequestError: There is no such trial, or it has no outcome that counts.
        LedgerInUseError: A driver runs here.
        LedgerError: The ledger cannot be written.
    """
    folder = runs_folder(runs)
    with Ledger(folder) as ledger:
        ledger.trial(prefix)  # a runs folder that is not there is not made
    with Recorder(folder) as recorder:
        done = recorder.record_invalidation(prefix, because)
    for each in done:
        typer.echo(f"{each.trial_id} invalidated: {each.because}")
    typer.echo("they count nowhere any more; the next `qdexp run` runs them from scratch", err=True)
