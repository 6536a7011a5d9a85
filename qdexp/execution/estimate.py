"""What a plan will take: time, GPU-hours, memory and disk, each with how sure that is. Pure.

A trial takes its steps times the seconds of a step, and what comes before and after them. Both are
known from past trials of its shape, or from a probe; the range is from the fastest to the slowest
of these. Nothing is known of a shape that was never measured, and that is said.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qdexp.execution.shape import shape_of
from qdexp.execution.stages import stages
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.spec import Resources

Source = Literal["trial", "probe"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number that is not known exactly."""

    low: float
    expected: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return self.combined(other, lambda a, b: a + b)

    def times(self, factor: float) -> "Range":
        """Returns it scaled by a number from 0."""
        return Range(
            low=self.low * factor, expected=self.expected * factor, high=self.high * factor
        )

    def combined(self, other: "Range", operation: Callable[[float, float], float]) -> "Range":
        """Returns what an operation that rises with both makes of two."""
        return Range(
            low=operation(self.low, other.low),
            expected=operation(self.expected, other.expected),
            high=operation(self.high, other.high),
        )


NOTHING = Range(low=0.0, expected=0.0, high=0.0)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one trial took, or one probe.

    Args:
        source: Which of both.
        step_seconds: Mean time of a step.
        fastest: Time of a step in its fastest part.
        slowest: Time of a step in its slowest part.
        num_steps: Steps that were measured.
        other_seconds: All time that is not of steps: starting, measuring, saving.
        peak_memory_bytes: Of the device or, on the CPU, of the process; None if not measured.
        disk_bytes: What it left in its folder, or None if that is not known.
        is_elsewhere: Whether it ran on another kind of machine.
    """

    source: Source
    step_seconds: float
    fastest: float
    slowest: float
    num_steps: int
    other_seconds: float
    peak_memory_bytes: int | None = None
    disk_bytes: int | None = None
    is_elsewhere: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Everything measured, by shape: of steps, and of whole trials."""

    steps: Mapping[str, Sequence[Measured]]
    whole: Mapping[str, Sequence[Measured]]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How many trials run side by side, and what each gets."""

    side_by_side: int
    gpus_per_trial: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one trial will take, from where it begins.

    Args:
        seconds: Time of its worker.
        peak_memory_bytes: The most that a trial of its shape held, or None if not measured.
        disk_bytes: What it will leave in its folder, or None if not known.
        basis: What it is estimated from.
        is_rest_alike: Whether those also start, measure and save as it does.
    """

    seconds: Range
    peak_memory_bytes: int | None
    disk_bytes: int | None
    basis: tuple[Measured, ...]
    is_rest_alike: bool


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the trials to run will take.

    Args:
        costs: What each trial will take whose shape was measured, by id.
        unknown: The ids of the others: they are in no sum here.
        worker_seconds: The sum over trials, or None if there is none to sum.
        wall_seconds: From the first start to the last end, or None likewise.
        gpu_hours: GPUs times the time that they are held, or None likewise.
        peak_memory_bytes: The most that one trial holds, or None if not measured.
        disk_bytes: What all will leave in their folders, or None if not known.
        capacity: How many trials run at once.
        sources: What it is from, in words, one sentence each.
    """

    costs: Mapping[str, Cost]
    unknown: tuple[str, ...]
    worker_seconds: Range | None
    wall_seconds: Range | None
    gpu_hours: Range | None
    peak_memory_bytes: int | None
    disk_bytes: int | None
    capacity: Capacity
    sources: tuple[str, ...]


def capacity_of(resources: Resources, *, cpus: int, gpus: int) -> Capacity:
    """Returns how many trials fit a machine; at least one, since a run refuses what does not."""
    wanted = float(min(1, gpus)) if resources.gpus is None else resources.gpus
    by_cpus = cpus // resources.cpus
    # Ray divides a GPU among trials, and a trial of several takes whole ones.
    by_gpus = by_cpus
    if wanted:
        by_gpus = gpus * math.floor(1 / wanted) if wanted <= 1 else gpus // math.ceil(wanted)
    return Capacity(side_by_side=max(1, min(by_cpus, by_gpus)), gpus_per_trial=wanted)


def estimate(plan: Plan, measured: Measurements, capacity: Capacity) -> Estimate:
    """Returns what the plan's trials to run will take."""
    found = {each.trial.trial_id: _cost(each, measured) for each in plan.to_run}
    costs = {trial_id: cost for trial_id, cost in found.items() if cost}
    worker = sum((cost.seconds for cost in costs.values()), NOTHING) if costs else None
    memory = [cost.peak_memory_bytes for cost in costs.values()]
    disk = [cost.disk_bytes for cost in costs.values()]
    return Estimate(
        costs=costs,
        unknown=tuple(trial_id for trial_id, cost in found.items() if not cost),
        worker_seconds=worker,
        wall_seconds=_wall(plan, costs, capacity) if costs else None,
        gpu_hours=worker.times(capacity.gpus_per_trial / 3600) if worker else None,
        peak_memory_bytes=max((each for each in memory if each is not None), default=None),
        disk_bytes=None if None in disk or not disk else sum(each for each in disk if each),
        capacity=capacity,
        sources=_sources(list(costs.values())),
    )


def _cost(planned: PlannedTrial, measured: Measurements) -> Cost | None:
    shape = shape_of(planned.trial)
    alike = tuple(measured.steps.get(shape.steps, ()))
    if not alike:
        return None
    whole = tuple(measured.whole.get(shape.whole, ()))
    steps = planned.trial.configuration.num_steps - (planned.known.step or 0)
    others = [each.other_seconds for each in whole or alike]
    other = Range(low=min(others), expected=sum(others) / len(others), high=max(others))
    memory = [each.peak_memory_bytes for each in alike if each.peak_memory_bytes is not None]
    disk = [each.disk_bytes for each in alike if each.disk_bytes is not None]
    return Cost(
        seconds=_of_step(alike).times(steps) + other,
        peak_memory_bytes=max(memory, default=None),
        disk_bytes=round(sum(disk) / len(disk)) if disk else None,
        basis=alike,
        is_rest_alike=bool(whole),
    )


def _of_step(alike: Sequence[Measured]) -> Range:
    """Returns the time of a step: over several trials, or else over the parts of a single one."""
    if len(alike) == 1:
        (one,) = alike
        return Range(low=one.fastest, expected=one.step_seconds, high=one.slowest)
    seconds = [each.step_seconds for each in alike]
    return Range(low=min(seconds), expected=sum(seconds) / len(seconds), high=max(seconds))


def _wall(plan: Plan, costs: Mapping[str, Cost], capacity: Capacity) -> Range:
    """Returns the time until the last trial ends, where each begins as soon as there is room.

    Stages wait for each other, as a run does it.
    """
    whole = NOTHING
    for stage in stages(plan):
        seconds = [costs[p.trial.trial_id].seconds for p in stage if p.trial.trial_id in costs]
        whole += Range(
            low=_makespan([each.low for each in seconds], capacity.side_by_side),
            expected=_makespan([each.expected for each in seconds], capacity.side_by_side),
            high=_makespan([each.high for each in seconds], capacity.side_by_side),
        )
    return whole


def _makespan(seconds: Sequence[float], side_by_side: int) -> float:
    ends = [0.0] * side_by_side
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def _sources(costs: Sequence[Cost]) -> tuple[str, ...]:
    distinct = {id(each): each for cost in costs for each in cost.basis}.values()
    trials = [each for each in distinct if each.source == "trial"]
    probes = [each for each in distinct if each.source == "probe"]
    sentences: list[str] = []
    if trials:
        many = len(trials) > 1
        what = f"{len(trials)} past trials" if many else "one past trial"
        parts = (
            "the fastest to the slowest of each shape" if many else "its fastest to slowest steps"
        )
        sentences.append(f"from {what} of the same shape, the range from {parts}")
    if probes:
        steps = sum(each.num_steps for each in probes)
        what = f"{len(probes)} probes" if len(probes) > 1 else "a probe"
        sentences.append(
            f"from {what} of {steps} steps in all, alone on this machine, the range from the "
            "fastest to the slowest step; trials side by side may be slower"
        )
    if not all(cost.is_rest_alike for cost in costs):
        sentences.append("time beside the steps from trials that measure something else")
    if any(each.is_elsewhere for each in distinct):
        sentences.append("measured on another kind of machine than this one")
    return tuple(sentences)
