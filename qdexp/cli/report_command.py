"""`qdexp report`: the analysis of an experiment, as files or on stdout."""

from pathlib import Path
from typing import Literal

import typer

from qdexp.api.experiments import report
from qdexp.api.importance import importance
from qdexp.cli.tables import wrapped
from qdexp.errors import RequestError
from qdexp.results.folders import runs_folder


def write(
    name: str,
    *,
    runs: Path | None,
    form: str | None,
    out: Path | None,
    lang: Literal["en", "zh"] = "en",
) -> None:
    """Writes all formats into the runs folder, or one where it is asked for.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: `out` cannot be written, or no font has the letters of the language.
    """
    if form is None and out is None:
        files = report(name, runs=runs, lang=lang)
        for line in files.summary_lines:
            typer.echo(wrapped(line))
        typer.echo(files.html)
        return
    import qdexp_analysis

    text = qdexp_analysis.render(
        name, runs_folder(runs), form or "html", lang=lang, importance=importance
    )
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"--out: expected a file that can be written, found {out}: {error.strerror}"
        ) from None
    typer.echo(out)


def show_schema() -> None:
    """Prints the JSON Schema of a report."""
    import json

    from qdexp_analysis.report_json import schema

    typer.echo(json.dumps(schema(), indent=1))


def serve(port: int, *, runs: Path | None) -> int:
    """Serves the reports of a runs folder until it is stopped, and returns the exit code.

    Raises:
        RequestError: The port is taken.
    """
    from qdexp_analysis.serving import reports_server

    server = reports_server(runs_folder(runs), port, importance)
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_port}/", err=False)
        typer.echo("reports are made when they are asked for; Ctrl-C ends it", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
