"""From the outcomes of a suggestion's trials to how it ended."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from qdexp.experiment.search_spec import Objective
from qdexp.results.outcome import Outcome, Status
from qdexp.results.suggestions import Told


def problem_of(outcome: Outcome, objectives: Sequence[Objective]) -> str:
    """Returns why an outcome has no value to optimise, in words, or nothing if it has all."""
    if outcome.failure is not None:
        return f"{outcome.status}: {outcome.failure.reason}"
    for objective in objectives:
        value = outcome.measurements.get(objective.metric)
        if value is None:
            return f"it did not measure {objective.metric}"
        if not math.isfinite(value):
            return f"{objective.metric} is {value}"
    return ""


def told_of(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> Told:
    """Returns how a suggestion ended.

    Args:
        outcomes: Of its trials, in the order of the seeds.
        objectives: What is optimised: the mean over the seeds.
    """
    cause = cause_of(outcomes, objectives)
    if cause is not None:
        is_pruned = cause.status == "pruned"
        reason = f"trial {cause.trial_id[:8]} {problem_of(cause, objectives)}"
        return Told(ending="pruned" if is_pruned else "failed", reason=reason)
    means = (
        statistics.fmean(outcome.measurements[objective.metric] for outcome in outcomes)
        for objective in objectives
    )
    return Told(ending="complete", values=tuple(means))


def cause_of(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> Outcome | None:
    """Returns the outcome for which a suggestion has no value, or None.

    Trials that were ended because of another one are not it where that one is known.
    """
    without = [each for each in outcomes if problem_of(each, objectives)]
    ranks = {"pruned": 1, "cancelled": 2}
    return min(without, key=lambda each: ranks.get(each.status, 0), default=None)


def ending_with(cause: Outcome) -> tuple[Status, str]:
    """Returns how the other trials of a configuration end, of which one has no value, and why."""
    reason = cause.failure.reason if cause.failure else "it has no value to optimise"
    status = "pruned" if cause.status == "pruned" else "cancelled"
    return status, f"another seed of its configuration {cause.status}: {reason}"


def slim(outcome: Outcome) -> Outcome:
    """Returns what is left to know of an outcome that is in the ledger."""
    return replace(outcome, history={}, arrays={}, provenance={})
