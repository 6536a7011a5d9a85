"""The commands about searches, and what follows from them."""

from typing import Annotated

import typer

from qdexp.cli.arguments import Runs, Seeds, Settings, SpecFile, TrackingUri, Trials
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

_Subject = Annotated[
    str, typer.Argument(metavar="NAME_OR_CONFIG", help="A search, or a configuration's file.")
]
_Baseline = Annotated[
    str | None,
    typer.Option(metavar="PRESET|FILE", help="What a configuration's file is compared with."),
]
_Suggestion = Annotated[
    int | None,
    typer.Option(metavar="N", help="Which of a search's to explain [default: the best]."),
]
_Metric = Annotated[str | None, typer.Option(metavar="NAME", help="What changes are judged on.")]
_Seeds = Annotated[
    int | None, typer.Option(metavar="N", help="Seeds [default: the confirmation's, or 5].")
]
_Racing = Annotated[
    bool, typer.Option("--racing", help="Drop candidates early that are clearly worse.")
]
_LeaveOneOut = Annotated[
    bool, typer.Option("--leave-one-out", help="Also leave each change out of the winner.")
]


def search(
    spec: SpecFile,
    trials: Trials = None,
    settings: Settings = None,
    seeds: Seeds = None,
    executor: Executor = "ray",
    runs: Runs = None,
    keep_going: KeepGoing = False,
    no_report: NoReport = False,
    no_tracking: NoTracking = False,
    tracking_uri: TrackingUri = None,
    study_storage: StudyStorage = None,
    address: Address = None,
    storage: Storage = None,
    env: Env = None,
) -> None:
    """Search a space for the best configuration, check it on fresh seeds, then report.

    What is finished is never run again; what was interrupted goes on.
    """
    from qdexp.api.request import Request
    from qdexp.cli import search_command

    changes = tuple(settings or ())
    request = Request(spec=spec, settings=changes, num_seeds=seeds, runs=runs, num_trials=trials)
    place = place_of(executor, address, storage, env)
    options = options_of(place, tracking_uri, no_tracking=no_tracking, keep_going=keep_going)
    code = search_command.search(
        request, options, study_storage=study_storage, with_report=not no_report
    )
    raise typer.Exit(code)


def ablate(
    subject: _Subject,
    baseline: _Baseline = None,
    suggestion: _Suggestion = None,
    metric: _Metric = None,
    settings: Settings = None,
    seeds: _Seeds = None,
    racing: _Racing = False,
    leave_one_out: _LeaveOneOut = False,
    executor: Executor = "ray",
    runs: Runs = None,
    keep_going: KeepGoing = False,
    no_report: NoReport = False,
    no_tracking: NoTracking = False,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    storage: Storage = None,
    env: Env = None,
) -> None:
    """Explain a winner: which changes from the baseline carry its gain, one after another."""
    from qdexp.api.ablation_request import AblationRequest
    from qdexp.cli import ablate_command

    request = AblationRequest(
        subject=subject,
        baseline=baseline,
        suggestion=suggestion,
        metric=metric,
        settings=tuple(settings or ()),
        num_seeds=seeds,
        is_raced=racing,
        runs=runs,
    )
    place = place_of(executor, address, storage, env)
    options = options_of(place, tracking_uri, no_tracking=no_tracking, keep_going=keep_going)
    raise typer.Exit(ablate_command.ablate(request, options, leave_one_out, not no_report))
