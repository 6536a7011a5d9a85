"""`qdexp plan`: the truth shown before the fact."""

from typing import TYPE_CHECKING, Any

import typer

from qdexp.api.composition import plan_request
from qdexp.cli.durations import in_words
from qdexp.cli.run_command import Request, audience
from qdexp.cli.status_command import one_line
from qdexp.cli.tables import aligned
from qdexp.execution.planning import mean_seconds
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.trial import condition_label
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.experiment.plan import Plan, PlannedTrial


def show_plan(request: Request, *, as_json: bool) -> None:
    """Prints what a run would do with every trial, and why."""
    plan = plan_request(request, audience())
    with Ledger(request.runs_folder) as ledger:
        seconds = mean_seconds(ledger.members(plan.experiment))
    if as_json:
        typer.echo(canonical_json(_as_json(plan, seconds)))
        return
    rows = [
        (
            p.trial.trial_id[:8],
            p.state,
            condition_label(p.condition),
            p.trial.seed,
            one_line(_why(p)),
        )
        for p in plan.trials
    ]
    rows += [
        (o.trial_id[:8], "orphaned", condition_label(o.condition), o.trial.seed, "not asked for")
        for o in plan.orphans
    ]
    typer.echo(aligned(("trial", "state", "condition", "seed", "why"), rows))
    typer.echo(f"\n{plan.summary()}; {_estimate(plan, seconds)}")


def _why(planned: "PlannedTrial") -> str:
    if planned.waits_for is None:
        return planned.reason
    is_taught = planned.trial.teacher is not None
    return (
        f"{planned.reason}; {'learns from' if is_taught else 'goes on from'} "
        + (planned.waits_for[:8])
    )


def _estimate(plan: "Plan", seconds: float | None) -> str:
    if not plan.to_run:
        return "nothing to run"
    if seconds is None:
        return "no estimate of time: no trial of this experiment has completed yet"
    total = in_words(seconds * len(plan.to_run))
    return f"about {total} of one worker ({in_words(seconds)} a trial so far)"


def _as_json(plan: "Plan", seconds: float | None) -> dict[str, Any]:
    return {
        "experiment": plan.experiment,
        "counts": plan.counts(),
        "seconds_per_trial": seconds,
        "trials": [
            {
                "trial_id": planned.trial.trial_id,
                "state": planned.state,
                "reason": planned.reason,
                "role": "teacher" if planned.is_teacher else "condition",
                "waits_for": planned.waits_for,
                "condition": dict(planned.condition),
                "seed": planned.trial.seed,
                "from_step": planned.known.step,
            }
            for planned in plan.trials
        ],
        "orphans": [
            {
                "trial_id": orphan.trial_id,
                "condition": dict(orphan.condition),
                "seed": orphan.trial.seed,
            }
            for orphan in plan.orphans
        ],
    }
