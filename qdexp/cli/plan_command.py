"""`qdexp plan`: the truth shown before the fact."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from qdexp.api.planning import Outlook, outlook
from qdexp.cli.design_display import design_json, design_text
from qdexp.cli.durations import range_as_json, range_in_words
from qdexp.cli.run_command import Request, audience
from qdexp.cli.sizes import size_in_words
from qdexp.cli.status_command import one_line
from qdexp.cli.tables import aligned, wrapped
from qdexp.errors import RequestError
from qdexp.execution.stages import stages
from qdexp.experiment.controls import control_name
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.trial import condition_label

if TYPE_CHECKING:
    from qdexp.execution.estimate import Estimate
    from qdexp.experiment.plan import Plan, PlannedTrial


def show_plan(request: Request, *, as_json: bool, with_probe: bool = False) -> None:
    """Prints what a run would do with every trial, why, and what it would take.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    if request.asks_for_search():
        from qdexp.cli.search_plan import show_search_plan

        show_search_plan(request, as_json=as_json, with_probe=with_probe)
        return
    if request.num_trials is not None:
        raise RequestError(
            "--trials: expected the spec of a search beside it, found that of an ablation, whose "
            "conditions and seeds say how many trials it has"
        )
    found = outlook(request, audience(), with_probe=with_probe)
    if as_json:
        typer.echo(canonical_json(_as_json(found) | {"design": design_json(found.spec)}))
        return
    plan = found.plan
    rows = [_row(each) for each in plan.trials]
    rows += [
        (o.trial_id[:8], "orphaned", condition_label(o.condition), o.trial.seed, "not asked for")
        for o in plan.orphans
    ]
    typer.echo(f"{design_text(found.spec)}\n")
    typer.echo(aligned(("trial", "state", "condition", "seed", "why"), rows))
    typer.echo(f"\n{plan.summary()}")
    for line in (
        *_sharing(plan),
        *_order(plan),
        *estimate_lines(found.estimate, plan),
        *_at_most(found),
    ):
        typer.echo(wrapped(line))


def _row(planned: "PlannedTrial") -> tuple[object, ...]:
    trial = planned.trial
    why = one_line(_why(planned))
    return (trial.trial_id[:8], planned.state, condition_label(planned.condition), trial.seed, why)


def _role(planned: "PlannedTrial") -> str:
    if planned.is_teacher:
        return "teacher"
    return "control" if control_name(planned.condition) else "condition"


def _why(planned: "PlannedTrial") -> str:
    why = planned.reason
    if planned.waits_for is not None:
        verb = "learns from" if planned.trial.teacher is not None else "goes on from"
        why += f"; {verb} {planned.waits_for[:8]}"
    if planned.shared_with:
        why += f"; shared with {', '.join(planned.shared_with)}"
    return why


def _sharing(plan: "Plan") -> Iterator[str]:
    """Yields how many trials other experiments ask for too."""
    counts: dict[str, int] = {}
    for planned in plan.trials:
        for name in planned.shared_with:
            counts[name] = counts.get(name, 0) + 1
    if counts:
        shared = ", ".join(f"{count} with {name}" for name, count in counts.items())
        yield f"shared: {shared}"


def _order(plan: "Plan") -> Iterator[str]:
    """Yields in how many stages trials run, where some wait for others."""
    sizes = [len(stage) for stage in stages(plan)]
    if len(sizes) > 1:
        yield f"order: {len(sizes)} stages, one after the other, of {_listed(sizes)} trials"


def _listed(numbers: list[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def estimate_lines(estimate: "Estimate", plan: "Plan") -> Iterator[str]:
    """Yields what the trials to run will take, in sentences."""
    if not plan.to_run:
        yield "nothing to run"
        return
    capacity = estimate.capacity
    if estimate.wall_seconds and estimate.worker_seconds and estimate.gpu_hours:
        yield (
            f"time: {range_in_words(estimate.wall_seconds)} with {capacity.side_by_side} side by "
            f"side, {range_in_words(estimate.worker_seconds)} of workers"
        )
        if capacity.gpus_per_trial:
            hours = estimate.gpu_hours
            yield f"GPU-hours: {hours.expected:.2g} ({hours.low:.2g} to {hours.high:.2g})"
        yield from _room(estimate)
        yield from (f"estimate: {sentence}" for sentence in estimate.sources)
    if estimate.unknown:
        missing, all_of_them = len(estimate.unknown), len(plan.to_run)
        which = "" if missing == all_of_them else f" for {missing} of {all_of_them} trials"
        yield (
            f"no estimate{which}: no trial of their shape has completed; --probe runs a few steps "
            "of one of each shape"
        )


def _at_most(found: Outlook) -> Iterator[str]:
    """Yields what all looks take if nothing is decided before the last one."""
    at_most, ahead = found.at_most, found.plan.ahead
    seconds = at_most.wall_seconds if at_most and not at_most.unknown else None
    if ahead and ahead.num_more and seconds:
        yield f"to the last look, if nothing is decided before: {range_in_words(seconds)}"


def _room(estimate: "Estimate") -> Iterator[str]:
    parts: list[str] = []
    if estimate.peak_memory_bytes is not None:
        parts.append(f"peak memory of a trial: {size_in_words(estimate.peak_memory_bytes)}")
    if estimate.disk_bytes is not None:
        parts.append(f"disk: {size_in_words(estimate.disk_bytes)} more")
    if parts:
        yield "; ".join(parts)


def _as_json(found: Outlook) -> dict[str, Any]:
    plan, estimate = found.plan, found.estimate
    stage_of = {p.trial.trial_id: n for n, stage in enumerate(stages(plan), 1) for p in stage}
    costs = [cost.seconds.expected for cost in estimate.costs.values()]
    return {
        "experiment": plan.experiment,
        "counts": plan.counts(),
        "seconds_per_trial": sum(costs) / len(costs) if costs else None,
        "estimate": _estimate_as_json(estimate),
        "looks": _looks_as_json(found),
        "trials": [
            {
                "trial_id": planned.trial.trial_id,
                "state": planned.state,
                "reason": planned.reason,
                "changes": list(planned.changes),
                "role": _role(planned),
                "waits_for": planned.waits_for,
                "stage": stage_of.get(planned.trial.trial_id),
                "shared_with": list(planned.shared_with),
                "condition": dict(planned.condition),
                "seed": planned.trial.seed,
                "from_step": planned.known.step,
                "num_steps": planned.trial.configuration.num_steps,
                "seconds": range_as_json(
                    cost.seconds if (cost := estimate.costs.get(planned.trial.trial_id)) else None
                ),
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


def _looks_as_json(found: Outlook) -> dict[str, Any] | None:
    ahead = found.plan.ahead
    if ahead is None:
        return None
    return {
        "schedule": list(ahead.schedule),
        "num_seeds": ahead.num_seeds,
        "num_more": ahead.num_more,
        "most_wall_seconds": range_as_json(found.at_most.wall_seconds if found.at_most else None),
    }


def _estimate_as_json(estimate: "Estimate") -> dict[str, Any]:
    return {
        "num_estimated": len(estimate.costs),
        "num_unknown": len(estimate.unknown),
        "side_by_side": estimate.capacity.side_by_side,
        "wall_seconds": range_as_json(estimate.wall_seconds),
        "worker_seconds": range_as_json(estimate.worker_seconds),
        "gpu_hours": range_as_json(estimate.gpu_hours),
        "peak_memory_bytes": estimate.peak_memory_bytes,
        "disk_bytes": estimate.disk_bytes,
        "sources": list(estimate.sources),
    }
