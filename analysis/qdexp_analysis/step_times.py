"""What a condition costs: the time of its training step as a ratio to the baseline's.

Ratios are paired by seed, on the logarithmic scale. A machine's load changes with time, so only
trials of one session are compared. Axes: k conditions, s seeds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from qdexp_analysis.comparability import scores
from qdexp_analysis.intervals import estimate
from qdexp_analysis.table import Experiment

STEP_SECONDS = "cost.step_seconds"


@dataclass(frozen=True, kw_only=True)
class StepRatio:
    """How many times as long as the baseline's a condition's training step takes.

    Args:
        condition: Position of the condition.
        num_pairs: Seeds measured in both, in one session.
        ratio: The geometric mean over the pairs; nan without pairs.
        interval: Its 95 % t interval over seeds, or None from fewer than two pairs.
    """

    condition: int
    num_pairs: int
    ratio: float
    interval: tuple[float, float] | None

    @property
    def is_clear(self) -> bool:
        """Tells whether the interval excludes 1."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """The times of training steps.

    Args:
        seconds: The baseline's mean over seeds.
        ratios: Every other condition that has a time.
        num_sessions: Separate times at which trials were measured.
    """

    seconds: float
    ratios: tuple[StepRatio, ...]
    num_sessions: int


def step_times(experiment: Experiment) -> StepTimes | None:
    """Returns the times of training steps, or None where the baseline has none."""
    baseline = experiment.baseline
    seconds = scores(experiment, STEP_SECONDS).means
    seconds = np.where(seconds > 0, seconds, np.nan)
    if baseline is None or np.isnan(seconds[baseline]).all():
        return None
    sessions = _sessions(experiment)
    return StepTimes(
        seconds=float(np.nanmean(seconds[baseline])),
        ratios=tuple(
            _ratio(k, np.log(seconds[k] / seconds[baseline])[sessions[k] == sessions[baseline]])
            for k in range(len(seconds))
            if k != baseline and not np.isnan(seconds[k]).all()
        ),
        num_sessions=len(np.unique(sessions[~np.isnan(seconds)])),
    )


def _ratio(condition: int, logs: Float[np.ndarray, " s"]) -> StepRatio:
    logs = logs[~np.isnan(logs)]
    found = estimate(logs[:, None]) if len(logs) else None
    interval = found.interval if found else None
    return StepRatio(
        condition=condition,
        num_pairs=len(logs),
        ratio=float(np.exp(found.mean)) if found else np.nan,
        interval=None if interval is None else (np.exp(interval[0]), np.exp(interval[1])),
    )


def _sessions(experiment: Experiment) -> Int[np.ndarray, "k s"]:
    """Returns the session of every trial, as a number.

    A session is one driver's, and ends where nothing ran for longer than the longest trial took.
    """
    names: dict[tuple[int, int], str] = {}
    spans: list[tuple[float, float, tuple[int, int]]] = []
    for record in experiment.records:
        ran = record.outcome.provenance if record.outcome else {}
        place = experiment.place(record)
        names[place] = str(ran.get("session", ""))
        if {"started_at", "finished_at"} <= ran.keys():
            spans.append((float(ran["started_at"]), float(ran["finished_at"]), place))
    longest = max((end - start for start, end, _ in spans), default=0.0)
    idle, latest = 0, min((end for _, end, _ in spans), default=0.0)
    for start, end, place in sorted(spans):
        idle += start - latest > longest
        latest = max(latest, end)
        names[place] += f" {idle}"
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    sessions = np.zeros((len(experiment.conditions), len(experiment.seeds)), dtype=int)
    for place, name in names.items():
        sessions[place] = numbers[name]
    return sessions
