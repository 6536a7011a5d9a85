"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

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
MaxTrials = Annotated[
    int | None,
    typer.Option(
        "--max-trials",
        metavar="N",
        min=1,
        help="Refuse a spec that asks for more trials [default: 1000].",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials", metavar="N", help="Trials of a search in all, over its spec's budget."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, of a stable form.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="Where MLflow tracks: http://..., postgresql://..., sqlite:///...; local: in the runs "
        "folder; none [default: $MLFLOW_TRACKING_URI or local].",
    ),
]
