"""What a display knows of a run: trials by state, steps, speed, time left."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from qdexp.experiment.plan import Plan
from qdexp.experiment.trial import condition_label
from qdexp.results.outcome import Outcome, Progress

LOSSES = ("train.denoising_loss", "train.loss")
"""What is shown while a trial runs: the first that its objective has."""


@dataclass(kw_only=True)
class Running:
    """A trial that runs now; times in seconds of the tally's clock."""

    label: str
    num_steps: int
    started: float
    first_step: int = 0
    first_seen: float | None = None
    step: int = 0
    loss: float | None = None
    steps_per_second: float | None = None


class Tally:
    """Counts what happens to the trials of a plan.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._durations: list[float] = []
        self._most_at_once = 0
        self._labels: dict[str, str] = {}
        self._steps: dict[str, int] = {}
        self._resumed: dict[str, int] = {}
        self.running: dict[str, Running] = {}
        self.ended: Counter[str] = Counter()
        self.num_to_run = 0

    def plan(self, plan: Plan) -> None:
        """Takes note of what is to run."""
        for planned in plan.to_run:
            trial = planned.trial
            self._labels[trial.trial_id] = (
                f"{condition_label(planned.condition)}, seed {trial.seed}"
            )
            self._steps[trial.trial_id] = trial.configuration.num_steps
            self._resumed[trial.trial_id] = planned.known.step or 0
        self.num_to_run = len(plan.to_run)

    def start(self, trial_id: str) -> Running:
        """A trial began, or began again."""
        running = Running(
            label=self._labels[trial_id],
            num_steps=self._steps[trial_id],
            started=self._clock(),
            step=self._resumed[trial_id],
            first_step=self._resumed[trial_id],
        )
        self.running[trial_id] = running
        self._most_at_once = max(self._most_at_once, len(self.running))
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
        known = [progress.measurements[name] for name in LOSSES if name in progress.measurements]
        running.loss = known[0] if known else running.loss
        return running

    def end(self, outcome: Outcome) -> tuple[str, float]:
        """A trial ended; returns its label and how many seconds it took."""
        self.ended[outcome.status] += 1
        running = self.running.pop(outcome.trial_id, None)
        seconds = self._clock() - running.started if running else 0.0
        if outcome.status == "completed":
            self._durations.append(seconds)
        return self._labels[outcome.trial_id], seconds

    @property
    def num_ended(self) -> int:
        """Trials with an outcome."""
        return sum(self.ended.values())

    def seconds_left(self) -> float | None:
        """Returns the time left, or None too early to tell.

        A trial takes as long as those that ended; before one has, as long as the furthest running
        one will take, with a fifth of it for the evaluation after its last step.
        """
        whole = self._seconds_of_a_trial()
        if whole is None:
            return None
        now = self._clock()
        left = sum(max(0.0, whole - (now - each.started)) for each in self.running.values())
        waiting = self.num_to_run - self.num_ended - len(self.running)
        return (left + waiting * whole) / max(1, len(self.running), self._most_at_once)

    def _seconds_of_a_trial(self) -> float | None:
        if self._durations:
            return sum(self._durations) / len(self._durations)
        now = self._clock()
        shares = {
            0.8 * (each.step - each.first_step) / each.num_steps: now - each.started
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
