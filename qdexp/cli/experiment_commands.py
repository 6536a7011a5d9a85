"""The commands about experiments: run, plan, look, report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qdexp.cli.arguments import Json, Runs, Seeds, Settings, SpecFile, TrackingUri


def run(
    spec: SpecFile,
    settings: Settings = None,
    seeds: Seeds = None,
    executor: Annotated[
        Literal["ray", "inline"], typer.Option(help="ray: in parallel; inline: in this process.")
    ] = "ray",
    runs: Runs = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Make no report.")] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Run what is missing of an experiment, then report.

    What is finished is never run again; what was interrupted goes on.
    """
    from qdexp.cli import run_command

    request = run_command.Request(
        spec=spec, settings=tuple(settings or ()), num_seeds=seeds, runs=runs
    )
    code = run_command.run(
        request, executor=executor, with_report=not no_report, tracking_uri=tracking_uri
    )
    raise typer.Exit(code)


def plan(
    spec: SpecFile,
    settings: Settings = None,
    seeds: Seeds = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show what run would do, and why; touches nothing."""
    from qdexp.cli import plan_command, run_command

    request = run_command.Request(
        spec=spec, settings=tuple(settings or ()), num_seeds=seeds, runs=runs
    )
    plan_command.show_plan(request, as_json=json)


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="An experiment [default: all].")
    ] = None,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Count an experiment's trials by outcome, with progress and failures."""
    from qdexp.cli import status_command

    status_command.show_status(name, runs=runs, as_json=json)


def show(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The beginning of a trial's id.")],
    runs: Runs = None,
) -> None:
    """Show one trial: configuration, outcome, history, error, files."""
    from qdexp.cli import show_command

    show_command.show_trial(trial, runs=runs)


def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The experiment.")],
    format: Annotated[
        Literal["html", "md", "csv"] | None,
        typer.Option("--format", help="Print one format to stdout, or write it to --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Where to write it.")
    ] = None,
    runs: Runs = None,
) -> None:
    """Write an experiment's report from the ledger, finished or not."""
    from qdexp.cli import report_command

    report_command.write(name, runs=runs, form=format, out=out)


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 5000,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than this machine may change all.")
    ] = "127.0.0.1",
    runs: Runs = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Serve MLflow's pages over the runs folder, or say where a server's are."""
    from qdexp.cli import ui_command

    code = ui_command.serve(port, host=host, runs=runs, tracking_uri=tracking_uri)
    raise typer.Exit(code)


def doctor(runs: Runs = None, tracking_uri: TrackingUri = None, json: Json = False) -> None:
    """Compare the ledger with MLflow and the disk, and mend what differs.

    Exit code 0: all is well, or mended; 1: something could not be mended.
    """
    from qdexp.cli import doctor_command

    raise typer.Exit(doctor_command.examine(runs=runs, tracking_uri=tracking_uri, as_json=json))
