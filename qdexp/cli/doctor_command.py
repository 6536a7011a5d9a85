"""`qdexp doctor`: the ledger compared with MLflow and with the disk, in plain words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qdexp.api.composition import NO_TRACKING, draw, refreshed
from qdexp.api.searching import check_studies, studies_url
from qdexp.execution.doctor import Instruments
from qdexp.execution.doctor import examine as examine_folder
from qdexp.results.folders import runs_folder
from qdexp.results.ledger import Ledger
from qdexp.results.schema import LEDGER_FILE

if TYPE_CHECKING:
    from qdexp.execution.ports import Checked, Mirror


def examine(
    *, runs: Path | None, tracking_uri: str | None, study_storage: str | None = None, as_json: bool
) -> int:
    """Looks, mends, says what it mended; returns the exit code.

    Raises:
        RequestError: The tracking URI or that of the studies is wrong.
        LedgerInUseError: A driver is running.
        LedgerError: The ledger cannot be read or written.
    """
    from qdexp.execution.ports import Checked

    folder = runs_folder(runs)
    found = Checked()
    if study_storage is not None:
        studies_url(folder, study_storage)  # what is none is refused before anything is mended
    if (folder / LEDGER_FILE).exists():
        instruments = Instruments(
            mirror=_mirror(folder, tracking_uri),
            draw=draw,
            report=lambda name: refreshed(name, folder),
        )
        found = examine_folder(folder, instruments) + check_studies(folder, study_storage)
    _show(found, folder, as_json=as_json)
    return 1 if found.unmended else 0


def _mirror(runs: Path, tracking_uri: str | None) -> "Mirror | None":
    """Returns the mirror to look at; none where this ledger is mirrored elsewhere only."""
    if tracking_uri == NO_TRACKING:
        return None
    from qdexp.backends.mlflow_tracker import location_of

    location = location_of(runs, tracking_uri)
    with Ledger(runs) as ledger:
        elsewhere = [place for place in ledger.places() if place]
    is_fresh = location.database is not None and not location.database.exists()
    if not tracking_uri and not location.chosen_by and elsewhere and is_fresh:
        typer.echo(
            f"MLflow was not looked at: this ledger is mirrored at {', '.join(elsewhere)}; name "
            "it by --tracking-uri",
            err=True,
        )
        return None
    typer.echo(f"looking at MLflow at {location.in_words}", err=True)
    from qdexp.backends.mlflow_tracker.mirror import MlflowMirror

    return MlflowMirror(location)


def _show(found: "Checked", runs: Path, *, as_json: bool) -> None:
    if as_json:
        content = {"mended": list(found.mended), "unmended": list(found.unmended)}
        typer.echo(json.dumps(content, indent=2))
        return
    for line in found.mended:
        typer.echo(f"mended: {line}")
    for line in found.unmended:
        typer.echo(f"not mended: {line}")
    if not found.mended and not found.unmended:
        typer.echo(f"all is well in {runs}")
