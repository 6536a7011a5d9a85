"""`qdexp ui`: MLflow's pages over the runs folder, or the address of a server's."""

from pathlib import Path

import typer

from qdexp.api.composition import NO_TRACKING
from qdexp.errors import RequestError
from qdexp.results.folders import runs_folder


def serve(port: int, *, host: str, runs: Path | None, tracking_uri: str | None) -> int:
    """Serves until it is stopped and returns the exit code.

    Raises:
        RequestError: There is nothing to serve yet, or the port is taken.
    """
    from qdexp.backends.mlflow_tracker import location_of, serve

    if tracking_uri == NO_TRACKING:
        raise RequestError(f"--tracking-uri: expected something to look at, found '{NO_TRACKING}'")
    location = location_of(runs_folder(runs), tracking_uri)
    if location.is_server:
        typer.echo(f"a tracking server has its pages itself ({location.chosen_by}):", err=True)
        typer.echo(location.in_words)
        return 0
    return serve(location, host, port)
