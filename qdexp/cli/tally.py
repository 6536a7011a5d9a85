"""What a display knows of a run: conditions, trials by state, steps, speed, time left."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from qdexp.config import metrics
from qdexp.execution.collaborators import FurtherTrials
from qdexp.experiment.plan import Plan
from qdexp.experiment.trial import Condition, condition_label
from qdexp.results.outcome import Outcome, Progress

LOSSES = ("train.denoising_loss", "train.loss")
"""What a line about a running trial shows: the first that its objective has."""

SHARE_OF_STEPS = 0.8
"""Of a trial's time, taken for its steps until a trial has ended; the rest is evaluation."""


@dataclass(kw_only=True)
class ConditionTally:
    """A condition's trials so far.

    Args:
        condition: Its levels; empty for teachers.
        num_trials: Its trials, those of earlier runs included.
        num_cached: Those that had their outcome before.
        num_steps: Steps of the trials to run, those included that a checkpoint already has.
        steps_ended: Of these, the steps of trials that ended here.
        ended: Outcomes of this run, by status.
        values: The primary metric of the trials that completed.
    """

    condition: Condition
    num_trials: int = 0
    num_cached: int = 0
    num_steps: int = 0
    steps_ended: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])
    values: list[float] = field(default_factory=list[float])

    @property
    def num_done(self) -> int:
        """Trials that completed, in this run or before."""
        return self.num_cached + self.ended["completed"]

    @property
    def num_bad(self) -> int:
        """Trials that ended otherwise in this run."""
        return self.ended.total() - self.ended["completed"]

    @property
    def is_over(self) -> bool:
        """Tells whether nothing of it is to run any more."""
        return self.num_cached + self.ended.total() >= self.num_trials


@dataclass(kw_only=True)
class Running:
    """A trial that runs now; times in seconds of the tally's clock."""

    label: str
    of: ConditionTally
    num_steps: int
    started: float
    first_step: int = 0
    first_seen: float | None = None
    step: int = 0
    loss: float | None = None
    value: float | None = None
    steps_per_second: float | None = None
    gpu_memory_bytes: int | None = None

    @property
    def seconds_left(self) -> float | None:
        """Time of the steps that are left, or None too early to tell."""
        if not self.steps_per_second:
            return None
        return max(0, self.num_steps - self.step) / self.steps_per_second


class Tally:
    """Counts what happens to the trials of a plan.

    Args:
        primary: The metric that is shown of conditions, or empty for none.
        clock: Monotonic seconds.
    """

    def __init__(self, primary: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._labels: dict[str, tuple[str, ConditionTally]] = {}
        self._planned: set[str] = set()
        self._steps: dict[str, int] = {}
        self._resumed: dict[str, int] = {}
        self._shown: tuple[str, ...] = ()
        self.durations: list[float] = []
        self.most_at_once = 0
        self.primary = primary
        self.conditions: dict[str, ConditionTally] = {}
        self.running: dict[str, Running] = {}
        self.ended: Counter[str] = Counter()
        self.num_to_run = 0
        self.ahead = FurtherTrials(num_of_search=0, num_to_confirm=0)

    def plan(self, plan: Plan) -> None:
        """Takes note of what is to run; of a later plan, of what it has beside an earlier one."""
        to_run = {planned.trial.trial_id for planned in plan.to_run}
        for planned in plan.trials:
            trial = planned.trial
            if trial.trial_id in self._planned:
                continue
            self._planned.add(trial.trial_id)
            name = condition_label(planned.condition)
            of = self.conditions.setdefault(name, ConditionTally(condition=planned.condition))
            of.num_trials += 1
            if trial.trial_id not in to_run:
                of.num_cached += 1
                continue
            self._labels[trial.trial_id] = (planned.label, of)
            self._steps[trial.trial_id] = trial.configuration.num_steps
            self._resumed[trial.trial_id] = planned.known.step or 0
            of.num_steps += trial.configuration.num_steps
        self.num_to_run = len(self._labels)
        self._shown = comparable(self.primary, [each.condition for each in plan.trials])

    def start(self, trial_id: str) -> Running:
        """A trial began, or began again."""
        label, of = self._labels[trial_id]
        running = Running(
            label=label,
            of=of,
            num_steps=self._steps[trial_id],
            started=self._clock(),
            step=self._resumed[trial_id],
            first_step=self._resumed[trial_id],
        )
        self.running[trial_id] = running
        self.most_at_once = max(self.most_at_once, len(self.running))
        return running

    def progress(self, trial_id: str, progress: Progress) -> Running:
        """A running trial reported; speed is measured from its first report on."""
        running = self.running[trial_id]
        now = self._clock()
        if running.first_seen is None:
            running.first_seen, running.first_step = now, progress.step
        elif now > running.first_seen + 1 and progress.step > running.first_step:
            steps = progress.step - running.first_step
            running.steps_per_second = steps / (now - running.first_seen)
        running.step = progress.step
        running.gpu_memory_bytes = progress.gpu_memory_bytes or running.gpu_memory_bytes
        running.loss = first_of(LOSSES, progress.measurements, running.loss)
        running.value = first_of(self._shown, progress.measurements, running.value)
        return running

    def end(self, outcome: Outcome) -> tuple[str, float]:
        """A trial ended; returns its label and how many seconds it took."""
        label, of = self._labels[outcome.trial_id]
        self.ended[outcome.status] += 1
        of.ended[outcome.status] += 1
        of.steps_ended += self._steps[outcome.trial_id]
        running = self.running.pop(outcome.trial_id, None)
        seconds = self._clock() - running.started if running else 0.0
        if outcome.status == "completed":
            self.durations.append(seconds)
            if self.primary in outcome.measurements:
                of.values.append(outcome.measurements[self.primary])
        return label, seconds

    @property
    def num_ended(self) -> int:
        """Trials with an outcome."""
        return sum(self.ended.values())

    def seconds_left(self) -> float | None:
        """Returns the time left, that of a search's confirmation included, or None too early.

        None, too, where a search has a budget of time alone.

        A trial takes as long as those that ended; before one has, as long as the furthest running
        one will take, with a fifth of it for the evaluation after its last step.
        """
        whole, further = self._seconds_of_a_trial(), self.ahead.num_of_search
        if whole is None or further is None:
            return None
        now = self._clock()
        left = sum(max(0.0, whole - (now - each.started)) for each in self.running.values())
        ahead = self.num_to_run + further + self.ahead.num_to_confirm
        waiting = ahead - self.num_ended - len(self.running)
        return (left + waiting * whole) / max(1, len(self.running), self.most_at_once)

    def _seconds_of_a_trial(self) -> float | None:
        if self.durations:
            return sum(self.durations) / len(self.durations)
        now = self._clock()
        shares = {
            SHARE_OF_STEPS * (each.step - each.first_step) / each.num_steps: now - each.started
            for each in self.running.values()
            if each.num_steps
        }
        share = max(shares, default=0.0)
        return shares[share] / share if share >= 0.1 else None

    def states(self) -> str:
        """Returns the counts in words: ``3 completed, 2 running, 4 waiting``."""
        waiting = self.num_to_run - self.num_ended - len(self.running)
        counts = {**self.ended, "running": len(self.running), "waiting": waiting}
        return ", ".join(f"{number} {state}" for state, number in counts.items() if number > 0)


def comparable(primary: str, conditions: list[Condition]) -> tuple[str, ...]:
    """Returns what a running trial may be shown by: the primary metric, or else its curve.

    A curve whose definition contains a factor means something else in each condition: then it is
    not shown beside others.
    """
    section, _, rest = primary.partition(".")
    curve = f"{section}.curve_{rest}"
    declared = metrics.find(curve)
    factors = {name for condition in conditions for name in condition}
    if declared is None or any(declared.is_defined_by(name) for name in factors):
        return (primary,)
    return (primary, curve)


def first_of(
    names: tuple[str, ...], measured: dict[str, float], otherwise: float | None
) -> float | None:
    """Returns the first of the metrics that was measured."""
    return next((measured[name] for name in names if name in measured), otherwise)
