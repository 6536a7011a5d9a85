"""The commands that move, merge and correct ledgers: import, bundle, invalidate."""

from pathlib import Path
from typing import Annotated

import typer

from qdexp.cli.arguments import Json, Runs


def import_(
    place: Annotated[
        Path,
        typer.Argument(metavar="RUNS", help="Another machine's runs folder, or a bundle."),
    ],
    runs: Runs = None,
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Import numbers only: no checkpoints, no clips.")
    ] = False,
    json: Json = False,
) -> None:
    """Merge another machine's ledger into this one; disagreeing duplicates are reported."""
    from qdexp.cli import import_command

    raise typer.Exit(
        import_command.import_from(place, runs=runs, with_files=not no_files, as_json=json)
    )


def bundle(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The experiment.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to [default: NAME.qdexp.zip]."),
    ] = None,
    runs: Runs = None,
    with_checkpoints: Annotated[
        bool, typer.Option("--with-checkpoints", help="Put the final checkpoints in.")
    ] = False,
) -> None:
    """Write one experiment into one file: its part of the ledger, its spec, its report."""
    from qdexp.cli import bundle_command

    bundle_command.bundle(name, runs=runs, out=out, with_checkpoints=with_checkpoints)


def invalidate(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The beginning of a trial's id.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, in one line.")],
    runs: Runs = None,
) -> None:
    """Make a trial's outcome count no more: excluded visibly, and run again next time."""
    from qdexp.cli import invalidate_command

    invalidate_command.invalidate(trial, because, runs=runs)
