"""`qdexp report`: the analysis of an experiment, as files or on stdout."""

from pathlib import Path
from typing import Literal

import typer

from qdexp.api.experiments import report
from qdexp.cli.tables import wrapped
from qdexp.errors import RequestError
from qdexp.results.folders import runs_folder


def write(
    name: str, *, runs: Path | None, form: Literal["html", "md", "csv"] | None, out: Path | None
) -> None:
    """Writes all formats into the runs folder, or one where it is asked for.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: `out` cannot be written.
    """
    if form is None and out is None:
        files = report(name, runs=runs)
        for line in files.summary_lines:
            typer.echo(wrapped(line))
        typer.echo(files.html)
        return
    import qdexp_analysis

    text = qdexp_analysis.render(name, runs_folder(runs), form or "html")
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
