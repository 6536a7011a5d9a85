"""`qdexp.ablate`: an ablation path from Python, as `qdexp ablate` makes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.api.ablating import Ablated, ablated
from qdexp.api.ablation_request import AblationRequest
from qdexp.api.composition import NO_TRACKING, RunOptions

if TYPE_CHECKING:
    from qdexp.backends.place import ExecutorName, Place


def ablate(
    subject: Path | str,
    *,
    baseline: Path | str | None = None,
    metric: str | None = None,
    set: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    racing: bool = False,
    leave_one_out: bool = False,
    executor: "ExecutorName" = "ray",
    place: "Place | None" = None,
    runs: Path | str | None = None,
    report: bool = True,
    tracking: bool | str = True,
    keep_going: bool = False,
) -> Ablated:
    """Runs what is missing of the path from a baseline to a winner, change by change, and reports.

    Args:
        subject: A search's name, or the path of a configuration's file.
        baseline: A preset or a configuration's file, for a configuration's file.
        metric: What changes are judged on, over the search's own.
        set: Fields to set in the baseline and in the winner.
        seeds: Seeds of what stays on the path.
        racing: Whether candidates that are clearly worse are dropped before they have all seeds.
        leave_one_out: Whether each change is also left out of the winner.
        executor: `ray`: in parallel; `inline`: in this process.
        place: Where trials go, a running cluster for instance; over `executor`.
        runs: The runs folder; ``$QDEXP_RUNS`` or ``runs`` unless given.
        report: Whether to write the reports.
        tracking: Whether MLflow mirrors it, or the URI where; a later run that does catches up.
        keep_going: Whether to go on where the first three trials of a round fail alike.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        LedgerError: The ledger cannot be written.
    """
    from qdexp.backends.place import Place

    request = AblationRequest(
        subject=str(subject),
        baseline=None if baseline is None else str(baseline),
        metric=metric,
        fields=set or {},
        num_seeds=seeds,
        is_raced=racing,
        runs=None if runs is None else Path(runs),
    )
    uri = tracking if isinstance(tracking, str) else None if tracking else NO_TRACKING
    place = place or Place(executor=executor)
    options = RunOptions(place=place, tracking_uri=uri, keep_going=keep_going)
    return ablated(request, options, leave_one_out=leave_one_out, with_report=report)
