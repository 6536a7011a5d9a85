"""What a search will take, from what trials like its own took. Pure.

Its configurations are not known beforehand, so that no single one of them can be estimated: each
is taken to need what the trials of the shapes that it tried so far needed, from its last step to
its last measurement. Before it tried any, they are those of its baseline's shape.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qdexp.execution.estimate import Capacity, Measured, Measurements, Range
from qdexp.execution.shape import INDIFFERENT, shape_of
from qdexp.execution.spending import seconds_left
from qdexp.experiment.counting import counted
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Trial
from qdexp.results.suggestions import TimeSpent


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What is left to do.

    Args:
        num_trials: Trials of the search that are open, or that its budget has room for; infinite
            where time alone counts.
        num_to_confirm: Trials of the check of its best.
        spent: What the search has spent of its budget.
    """

    num_trials: float
    num_to_confirm: int
    spent: TimeSpent


@dataclass(frozen=True, kw_only=True)
class SearchEstimate:
    """How long what is left of a search takes if nothing is pruned.

    Args:
        trial_seconds: One trial.
        search_seconds: The search, until its last trial ends.
        confirm_seconds: The check of its best, after that.
        side_by_side: Trials of the search at one time.
        sources: What it is from, in words, one sentence each.
    """

    trial_seconds: Range
    search_seconds: Range
    confirm_seconds: Range
    side_by_side: int
    sources: tuple[str, ...]


def search_estimate(
    spec: SearchSpec,
    tried: Sequence[Trial],
    measured: Measurements,
    capacity: Capacity,
    ahead: Ahead,
) -> SearchEstimate | None:
    """Returns what a search will take, or None where no trial of its shapes was measured.

    Args:
        spec: The search.
        tried: The trials of what it suggested so far, the baseline's among them in any case.
        measured: What is measured of their shapes.
        capacity: How many trials fit this machine.
        ahead: What is left to do.
    """
    shapes = dict.fromkeys(shape_of(trial).steps for trial in tried)
    alike = [each for shape in shapes for each in measured.steps.get(shape, ())]
    if not alike:
        return None
    trial = _of_trial(alike, [each.configuration.num_steps for each in tried])
    side_by_side = min(capacity.side_by_side, spec.workers or capacity.side_by_side)
    rounds = ahead.num_trials / side_by_side
    search = trial.times(rounds if math.isinf(rounds) else math.ceil(rounds))
    num_gpus = capacity.gpus_per_trial * spec.spec.resources.processes
    left = seconds_left(spec, ahead.spent, num_gpus=num_gpus, side_by_side=side_by_side)
    # What was suggested is finished when the hours are spent.
    search = search.combined(trial, lambda all_of_it, one: min(all_of_it, left + one))
    return SearchEstimate(
        trial_seconds=trial,
        search_seconds=search,
        confirm_seconds=trial.times(math.ceil(ahead.num_to_confirm / capacity.side_by_side)),
        side_by_side=side_by_side,
        sources=tuple(_sources(spec, tried, alike, len(shapes))),
    )


def _of_trial(alike: Sequence[Measured], lengths: Sequence[int]) -> Range:
    """Returns the time of a trial: over several measured ones, or over the parts of a single one.

    Args:
        alike: What was measured.
        lengths: The optimizer steps of trials, which a search may vary too.
    """
    steps = Range(low=min(lengths), expected=sum(lengths) / len(lengths), high=max(lengths))
    if len(alike) == 1:
        (one,) = alike
        step = Range(low=one.fastest, expected=one.step_seconds, high=one.slowest)
        other = Range(low=one.other_seconds, expected=one.other_seconds, high=one.other_seconds)
        return step.combined(steps, lambda a, b: a * b) + other
    return Range(
        low=min(each.step_seconds * steps.low + each.other_seconds for each in alike),
        expected=sum(each.step_seconds * steps.expected + each.other_seconds for each in alike)
        / len(alike),
        high=max(each.step_seconds * steps.high + each.other_seconds for each in alike),
    )


def _sources(
    spec: SearchSpec, tried: Sequence[Trial], alike: Sequence[Measured], num_shapes: int
) -> Iterator[str]:
    whose = "its baseline's shape" if num_shapes == 1 else "the shapes that it tried"
    num_probes = sum(each.source == "probe" for each in alike)
    num_trials = len(alike) - num_probes
    counts = [(num_trials, "past trial"), (num_probes, "probe")]
    what = " and ".join(counted(number, name) for number, name in counts if number)
    parts = "its fastest to slowest steps" if len(alike) == 1 else "the fastest to the slowest"
    yield f"from {what} of {whose}, the range from {parts}"
    if num_probes:
        yield "probes ran alone; trials side by side may be slower"
    if any(each.is_elsewhere for each in alike):
        yield "measured on another kind of machine than this one"
    is_ours = spec.spec.trainable == DEFAULT_TRAINABLE
    costly = [each for each in spec.space.fields if not is_ours or each not in INDIFFERENT]
    if costly:
        yield f"a trial's time may depend on {', '.join(costly)}: others may take longer or less"
    if any(trial.teacher for trial in tried):
        yield "without the trainings of teachers that are still missing"
