"""The `qdexp` command: its options and its exit codes.

Exit codes: 0 every trial completed; 1 some did not, or the ledger or the disk failed; 2 the
request was wrong; 130 interrupted, resumable. Results go to stdout, everything else to stderr.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from qdexp.cli import encode_options
from qdexp.cli.sample_arguments import sample
from qdexp.errors import InterruptedRunError, LedgerInUseError, QdexpError, RequestError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask questions of a quantized video diffusion model by ablation, and get answers "
    "whose verdicts carry their uncertainty.",
)

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment's YAML file.")]
Runs = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="The runs folder [default: $QDEXP_RUNS or runs]."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Set a configuration field; repeatable."),
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", metavar="N", help="Number of seeds, over the spec's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, of a stable form.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(version("qdexp"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    spec: SpecFile,
    settings: Settings = None,
    seeds: Seeds = None,
    executor: Annotated[
        Literal["ray", "inline"], typer.Option(help="ray: in parallel; inline: in this process.")
    ] = "ray",
    runs: Runs = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Make no report.")] = False,
) -> None:
    """Run what is missing of an experiment, then report.

    What is finished is never run again; what was interrupted goes on.
    """
    from qdexp.cli import run_command

    request = run_command.Request(
        spec=spec, settings=tuple(settings or ()), num_seeds=seeds, runs=runs
    )
    raise typer.Exit(run_command.run(request, executor=executor, with_report=not no_report))


@app.command()
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


@app.command()
def train(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE", help="The configuration, as presets writes it."),
    ],
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="CHECKPOINT", help="A checkpoint to go on from."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Its folder [default: outputs/ and FILE's name]."
        ),
    ] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The seed.")] = 0,
) -> None:
    """Train one configuration; also under torchrun. The same command again goes on."""
    from qdexp.cli import train_command

    request = train_command.Request(
        config=config, settings=tuple(settings or ()), seed=seed, resume=resume, out=out
    )
    raise typer.Exit(train_command.train(request))


app.command()(sample)


@app.command()
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


@app.command()
def show(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The beginning of a trial's id.")],
    runs: Runs = None,
) -> None:
    """Show one trial: configuration, outcome, history, error, files."""
    from qdexp.cli import show_command

    show_command.show_trial(trial, runs=runs)


@app.command()
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


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 5000,
    runs: Runs = None,
) -> None:
    """Serve MLflow's pages over the runs folder, on 127.0.0.1."""
    from qdexp.cli import ui_command

    raise typer.Exit(ui_command.serve(port, runs=runs))


@app.command()
def encode(
    videos: encode_options.Videos,
    out: encode_options.Out,
    autoencoder: encode_options.Autoencoder = "pca3d",
    autoencoder_path: encode_options.AutoencoderPath = None,
    height: encode_options.Height = 64,
    width: encode_options.Width = 64,
    num_frames: encode_options.NumFrames = 17,
    fps: encode_options.Fps = None,
    stride: encode_options.Stride = 1,
    overlap: encode_options.Overlap = 0,
    fit: encode_options.Fit = "crop",
    held_out_share: encode_options.HeldOutShare = 0.1,
) -> None:
    """Encode videos into latents to train on. The same command again goes on."""
    from qdexp.cli import encode_command

    fields = {
        "autoencoder": autoencoder,
        "autoencoder_path": autoencoder_path,
        "height": height,
        "width": width,
        "num_frames": num_frames,
        "fps": fps,
        "stride": stride,
        "overlap": overlap,
        "fit": fit,
        "held_out_share": held_out_share,
    }
    request = encode_command.Request(videos=videos, out=out, fields=fields)
    raise typer.Exit(encode_command.encode(request))


@app.command()
def presets(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write them.")] = Path(
        "configs"
    ),
) -> None:
    """Write the preset configurations as JSON files."""
    from qdexp.cli import presets_command

    presets_command.write(out)


def main() -> None:
    """Runs the command line; errors that qdexp can explain become one message and an exit code."""
    try:
        app()
    except QdexpError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # torchrun's other processes would repeat it
            typer.echo(str(error), err=True)
        sys.exit(exit_code(error))


def exit_code(error: QdexpError) -> int:
    """Returns the exit code that stands for an error."""
    if isinstance(error, InterruptedRunError):
        return 130
    return 2 if isinstance(error, RequestError | LedgerInUseError) else 1
