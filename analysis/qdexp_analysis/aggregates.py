"""Aggregates over several data sets or metrics, as rliable defines them.

Agarwal et al., 2021, "Deep reinforcement learning at the edge of the statistical precipice": the
interquartile mean of all runs on all tasks, and the probability of improvement. A task is a data
set or a metric; its scores are shares of its baseline. Unlike rliable's, intervals are t
intervals over seeds left out one at a time: see docs/decisions/0020. Axes: s seeds, t tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from qdexp_analysis.contrasts import Scores
from qdexp_analysis.intervals import StandardError

FEWEST_TASKS = 2

Runs = Float[np.ndarray, "s t"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One data set, or one metric, on which the same conditions were measured with the same seeds.

    Args:
        name: What it is, in words.
        scores: Its values.
        baseline: Position of the condition that the others are compared with.
    """

    name: str
    scores: Scores
    baseline: int


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A number over all tasks, with its 95 % interval; None if that is not known."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What one condition gains over the baseline on all tasks together.

    Args:
        condition: Its position.
        gain: Interquartile mean over seeds and tasks of how much better it is than the baseline of
            the same seed, as a share of that; positive is better, whatever the direction.
        improvement: Probability that a run of it is better than a run of the baseline, with any
            seeds, averaged over tasks (rliable's; ties count half).
        seeds: Positions of the seeds in which both completed on every task.
        num_tasks: Tasks in it.
    """

    condition: int
    gain: Aggregate
    improvement: Aggregate
    seeds: tuple[int, ...]
    num_tasks: int


def pool(tasks: Sequence[Task]) -> tuple[Pooled, ...]:
    """Returns every other condition against the baseline over all tasks.

    Nothing for fewer than two tasks, for tasks with different conditions or seeds, or where a
    trial diverged: the others would mislead. A task without a better or worse, or with a value
    that is not positive, so that no share can be had, is no task.
    """
    usable = [task for task in tasks if is_poolable(task)]
    if len(usable) < FEWEST_TASKS or len({task.baseline for task in usable}) > 1:
        return ()
    if len({task.scores.diverged.shape for task in usable}) > 1:
        return ()
    if any(task.scores.diverged.any() for task in usable):
        return ()
    baseline = usable[0].baseline
    others = [k for k in range(len(usable[0].scores.values)) if k != baseline]
    found = [_pooled(usable, condition, baseline) for condition in others]
    return tuple(pooled for pooled in found if pooled is not None)


def is_poolable(task: Task) -> bool:
    """Tells whether a task has a better and worse, and positive values alone."""
    completed = task.scores.means[task.scores.is_complete]
    return task.scores.direction != "neither" and len(completed) > 0 and bool(completed.min() > 0)


def interquartile_mean(runs: Runs) -> float:
    """Returns the mean of all runs on all tasks without the lowest and highest quarter."""
    return float(stats.trim_mean(runs.ravel(), proportiontocut=0.25))


def probability_of_improvement(runs: Runs, others: Runs) -> float:
    """Returns the mean over tasks of the chance that a run is above another one.

    It is Mann and Whitney's statistic over all pairs, the ties halved.
    """
    pairs = runs[:, None] - others[None]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def over_seeds(statistic: Callable[[Sequence[int]], float], num_seeds: int) -> Aggregate:
    """Returns a statistic of all seeds with the interval of leaving out one at a time.

    The standard error is the jackknife's (Tukey, 1958; Efron and Stein, 1981), with t for one
    degree of freedom less than seeds. Seeds are left out with all their tasks, since what a
    training measures on several is not independent.

    Args:
        statistic: The number that these seeds give.
        num_seeds: How many there are.
    """
    every = list(range(num_seeds))
    value = statistic(every)
    if num_seeds < 3:  # two seeds leave one, of which no quarter can be left out
        return Aggregate(value=value, interval=None)
    without = np.array([statistic([s for s in every if s != left]) for left in every])
    variance = (num_seeds - 1) / num_seeds * float(((without - without.mean()) ** 2).sum())
    if variance <= (1e-12 * float(np.abs(without).max())) ** 2:
        return Aggregate(value=value, interval=None)
    error = StandardError(value=variance**0.5, df=num_seeds - 1)
    return Aggregate(value=value, interval=error.interval(value))


def _pooled(tasks: Sequence[Task], condition: int, baseline: int) -> Pooled | None:
    done = np.all([task.scores.is_complete[[condition, baseline]] for task in tasks], axis=(0, 1))
    seeds = np.flatnonzero(done)
    if not len(seeds):
        return None
    control, runs = (
        np.stack([task.scores.means[k, seeds] for task in tasks], axis=1)
        for k in (baseline, condition)
    )
    sign = np.array([1.0 if task.scores.direction == "higher" else -1.0 for task in tasks])
    gains = sign * (runs / control - 1)
    improvement = over_seeds(
        lambda kept: probability_of_improvement(sign * runs[kept], sign * control[kept]),
        len(seeds),
    )
    if improvement.interval is not None:
        low, high = improvement.interval
        improvement = Aggregate(value=improvement.value, interval=(max(low, 0.0), min(high, 1.0)))
    return Pooled(
        condition=condition,
        gain=over_seeds(lambda kept: interquartile_mean(gains[kept]), len(seeds)),
        improvement=improvement,
        seeds=tuple(seeds.tolist()),
        num_tasks=len(tasks),
    )
