"""`qdexp bundle`: one experiment in one file."""

from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from qdexp.api.importance import importance
from qdexp.results.bundle_writing import write_bundle
from qdexp.results.folders import runs_folder


def bundle(name: str, *, runs: Path | None, out: Path | None, with_checkpoints: bool) -> None:
    """Writes an experiment's bundle and prints where it is.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: The file cannot be written.
        LedgerError: The ledger cannot be read.
    """
    from qdexp_analysis import write_report

    place = (out or Path(f"{name}.qdexp.zip")).absolute()
    with TemporaryDirectory() as folder:
        files = write_report(name, runs_folder(runs), Path(folder), importance=importance)
        paths = (files.html, files.markdown, files.csv, files.suggestions)
        report = {path.name: path for path in paths if path is not None}
        done = write_bundle(
            name, runs_folder(runs), report, place, with_checkpoints=with_checkpoints
        )
    typer.echo(
        f"{done.num_trials} trials in {done.num_parts} parts, {done.num_bytes:,} bytes; "
        "`qdexp import FILE` reads it",
        err=True,
    )
    typer.echo(place)
