"""The commands about experiments: run, plan, look, report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from qdexp.cli.arguments import (
    Json,
    MaxTrials,
    Runs,
    Seeds,
    Settings,
    SpecFile,
    TrackingUri,
    Trials,
)
from qdexp.cli.run_arguments import (
    Address,
    Env,
    Executor,
    KeepGoing,
    NoReport,
    NoTracking,
    Storage,
    StudyStorage,
    options_of,
    place_of,
)


def run(
    spec: SpecFile,
    settings: Settings = None,
    seeds: Seeds = None,
    executor: Executor = "ray",
    runs: Runs = None,
    max_trials: MaxTrials = None,
    keep_going: KeepGoing = False,
    no_report: NoReport = False,
    no_tracking: NoTracking = False,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    storage: Storage = None,
    env: Env = None,
) -> None:
    """Run what is missing of an experiment, then report.

    What is finished is never run again; what was interrupted goes on.
    """
    from qdexp.cli import run_command

    request = run_command.Request(
        spec=spec,
        settings=tuple(settings or ()),
        num_seeds=seeds,
        runs=runs,
        max_trials=max_trials,
    )
    place = place_of(executor, address, storage, env)
    options = options_of(place, tracking_uri, no_tracking=no_tracking, keep_going=keep_going)
    raise typer.Exit(run_command.run(request, options, with_report=not no_report))


def plan(
    spec: SpecFile,
    settings: Settings = None,
    seeds: Seeds = None,
    runs: Runs = None,
    max_trials: MaxTrials = None,
    trials: Trials = None,
    json: Json = False,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Run a few steps of each shape that no past trial tells of."),
    ] = False,
) -> None:
    """Show what run would do, why, and what it would take; touches nothing without --probe."""
    from qdexp.cli import plan_command, run_command

    request = run_command.Request(
        spec=spec,
        settings=tuple(settings or ()),
        num_seeds=seeds,
        runs=runs,
        max_trials=max_trials,
        num_trials=trials,
    )
    plan_command.show_plan(request, as_json=json, with_probe=probe)


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="An experiment [default: all].")
    ] = None,
    runs: Runs = None,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing NAME until its driver ends, or Ctrl-C.")
    ] = False,
) -> None:
    """Count an experiment's trials by outcome, with progress and failures."""
    from qdexp.cli import status_command

    if watch:
        status_command.watch_status(name, runs=runs, as_json=json)
    else:
        status_command.show_status(name, runs=runs, as_json=json)


def show(
    trials: Annotated[
        list[str], typer.Argument(metavar="TRIAL", help="The beginning of a trial's id.")
    ],
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what differs between two trials instead.")
    ] = False,
    changes: Annotated[
        bool, typer.Option("--changes", help="Show the uncommitted changes of the code instead.")
    ] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show one trial: configuration, outcome, history, error, provenance, files."""
    from qdexp.cli import show_command, show_difference

    if len(trials) != (2 if diff else 1):
        raise typer.BadParameter("expected one trial, or two after --diff", param_hint="TRIAL")
    if diff:
        show_difference.show_difference(trials[0], trials[1], runs=runs, as_json=json)
    elif changes:
        show_command.show_changes(trials[0], runs=runs)
    else:
        show_command.show_trial(trials[0], runs=runs, as_json=json)


def report(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The experiment; all of them in --serve.")
    ] = None,
    format: Annotated[
        Literal["html", "md", "latex", "csv", "contrasts", "json", "suggestions"] | None,
        typer.Option("--format", help="Print one format to stdout, or write it to --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Where to write it.")
    ] = None,
    lang: Annotated[
        Literal["en", "zh"], typer.Option("--lang", help="The report's language.")
    ] = "en",
    runs: Runs = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of --format json.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show all reports in a browser, on 127.0.0.1.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of --serve; 0 takes a free one.")
    ] = 8642,
) -> None:
    """Write an experiment's report from the ledger, finished or not."""
    from qdexp.cli import report_command

    if serve:
        raise typer.Exit(report_command.serve(port, runs=runs))
    if schema:
        report_command.show_schema()
    elif name is None:
        raise typer.BadParameter("expected the name of an experiment", param_hint="NAME")
    else:
        report_command.write(name, runs=runs, form=format, out=out, lang=lang)


def schema() -> None:
    """Print the JSON Schema of a spec's file, for editors."""
    from json import dumps

    from qdexp.experiment.spec_schema import spec_schema

    typer.echo(dumps(spec_schema(), indent=1))


def compare(
    one: Annotated[
        str, typer.Argument(metavar="A", help="An experiment, or NAME:FIELD=LEVEL,... of one.")
    ],
    other: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Compare two experiments, or two conditions: what differs, and by how much."""
    from qdexp.cli import compare_command

    compare_command.compare(one, other, runs=runs, as_json=json)


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


def doctor(
    runs: Runs = None,
    tracking_uri: TrackingUri = None,
    study_storage: StudyStorage = None,
    json: Json = False,
) -> None:
    """Compare the ledger with MLflow, Optuna's studies and the disk, and mend what differs.

    Exit code 0: all is well, or mended; 1: something could not be mended.
    """
    from qdexp.cli import doctor_command

    code = doctor_command.examine(
        runs=runs, tracking_uri=tracking_uri, study_storage=study_storage, as_json=json
    )
    raise typer.Exit(code)
