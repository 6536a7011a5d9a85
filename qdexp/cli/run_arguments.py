"""The options of `qdexp run` alone: how and where trials run."""

from typing import Annotated, Literal

import typer

Executor = Annotated[
    Literal["ray", "inline"], typer.Option(help="ray: in parallel; inline: in this process.")
]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Go on where the first three trials fail alike."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Make no report.")]
NoTracking = Annotated[
    bool, typer.Option("--no-tracking", help="Mirror nothing in MLflow; a later run catches up.")
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT|auto", help="A running Ray cluster [default: none]."),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Where files travel through if nodes share no folder."),
]
Env = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[=VALUE]", help="A variable for the cluster's workers."),
]
StudyStorage = Annotated[
    str | None,
    typer.Option(
        "--study-storage",
        metavar="URL",
        help="Where Optuna's studies are mirrored [default: optuna.sqlite in the runs folder].",
    ),
]
