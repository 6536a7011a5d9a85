"""The options of commands that run trials: how and where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from qdexp.api.composition import RunOptions
    from qdexp.backends.place import ExecutorName, Place

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


def options_of(
    place: "Place", tracking_uri: str | None, *, no_tracking: bool, keep_going: bool
) -> "RunOptions":
    """Returns what these options say of a run."""
    from qdexp.api.composition import run_options

    tracking = False if no_tracking else True if tracking_uri is None else tracking_uri
    return run_options(place.executor, place, tracking, keep_going=keep_going)


def place_of(
    executor: "ExecutorName", address: str | None, storage: str | None, env: Sequence[str] | None
) -> "Place":
    """Returns where these options send trials.

    Raises:
        RequestError: They do not go together.
    """
    from qdexp.backends.place import Place

    return Place(executor=executor, address=address, storage=storage, variables=tuple(env or ()))
