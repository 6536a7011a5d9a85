"""`qdexp.ablate`: an ablation path from Python, as `qdexp ablate` makes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.api.ablating import Ablated, ablated
from qdexp.api.ablation_request import AblationRequest
from qdexp.api.composition import run_options

if TYPE_CHECKING:
    from qdexp.backends.place import ExecutorName, Place


def ablate(
    subject: Path | str,
    *,
    baseline: Path | str | None = None,
    suggestion: int | None = None,
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

    What is explained is a search, by its name, or its `suggestion` of that number; or a file of a
    configuration beside its `baseline`, a preset or another file. `metric` is what changes are
    judged on; `set` holds in the baseline and in the winner; `racing` drops candidates early that
    are worse; `leave_one_out` also leaves each change out. The rest is as in `qdexp.run`.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
    """
    request = AblationRequest(
        subject=str(subject),
        baseline=None if baseline is None else str(baseline),
        suggestion=suggestion,
        metric=metric,
        fields=set or {},
        num_seeds=seeds,
        is_raced=racing,
        runs=runs,
    )
    options = run_options(executor, place, tracking, keep_going=keep_going)
    return ablated(request, options, leave_one_out=leave_one_out, with_report=report)
