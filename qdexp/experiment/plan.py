"""A plan: what a run would do with every trial, and why. Pure: what is known is an argument."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from qdexp.experiment.trial import DEFAULT_TRAINABLE, Condition, Trial, condition_label

State = Literal["new", "cached", "resumable", "stale", "orphaned"]

TO_RUN: frozenset[State] = frozenset({"new", "resumable", "stale"})


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the ledger and the runs folder know of a trial that is asked for.

    Args:
        status: Of the last outcome, or None if there is none.
        is_final: Whether that outcome is a result.
        reason: Why the last attempt did not complete, in words.
        step: Step of the checkpoint to go on from, or None.
        origin: The other trial whose checkpoint that is, or None for its own.
    """

    status: str | None = None
    is_final: bool = False
    reason: str = ""
    step: int | None = None
    origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class Former:
    """A trial that the experiment once asked for and whose id is not asked for any more."""

    trial: Trial
    trial_id: str
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial, what a run would do with it, and why.

    Args:
        trial: The trial.
        condition: Its levels; empty for a teacher, which is compared with nothing.
        state: What a run would do.
        reason: Why.
        known: What is known of it.
        waits_for: Another trial of the plan that runs before, since this one starts from its
            weights: its teacher, or one whose training is the beginning of its own. None if there
            is nothing to wait for.
    """

    trial: Trial
    condition: Condition
    state: State
    reason: str
    known: Known
    waits_for: str | None = None

    @property
    def is_teacher(self) -> bool:
        """Tells whether it is here only because others learn from it."""
        return not self.condition

    @property
    def origin(self) -> str | None:
        """The other trial whose checkpoint it goes on from, or None if it begins by itself."""
        is_continued = self.waits_for is not None and self.trial.teacher is None
        return self.waits_for if is_continued else self.known.origin


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials that an experiment needs, in order, and those it needs no more."""

    experiment: str
    trials: tuple[PlannedTrial, ...]
    orphans: tuple[Former, ...]

    @property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """The trials without a final outcome."""
        return tuple(planned for planned in self.trials if planned.state in TO_RUN)

    def counts(self) -> dict[str, int]:
        """Returns the number of trials in each state that occurs, orphans included."""
        counts = Counter[str](planned.state for planned in self.trials)
        counts["orphaned"] = len(self.orphans)
        return {state: number for state, number in counts.items() if number}

    def summary(self) -> str:
        """Returns the counts in words: ``9 trials: 6 cached, 3 new``."""
        counts = ", ".join(f"{number} {state}" for state, number in self.counts().items())
        return f"{len(self.trials)} trials: {counts}"


def make_plan(
    experiment: str,
    asked: Sequence[tuple[Trial, Condition]],
    known: Mapping[str, Known],
    former: Sequence[Former],
) -> Plan:
    """Returns the plan of an experiment.

    Args:
        experiment: Its name.
        asked: The trials asked for, each with its condition.
        known: What is known, by trial id; ids that are missing are new.
        former: Trials asked for once and no more.

    Raises:
        ValueError: Two conditions ask for one trial.
    """
    if len({trial.trial_id for trial, _ in asked}) != len(asked):
        raise ValueError(f"{experiment}: expected trials of different ids, found one twice")
    replaced = {(condition_label(f.condition), f.trial.seed): f for f in former}
    planned: list[PlannedTrial] = []
    for trial, condition in asked:
        facts = known.get(trial.trial_id, Known())
        old = replaced.pop((condition_label(condition), trial.seed), None) if condition else None
        state, reason = _judge(trial, facts, old)
        planned.append(
            PlannedTrial(trial=trial, condition=condition, state=state, reason=reason, known=facts)
        )
    waits = _waits([each for each in planned if each.state in TO_RUN])
    trials = tuple(replace(each, waits_for=waits.get(each.trial.trial_id)) for each in planned)
    return Plan(experiment=experiment, trials=trials, orphans=tuple(replaced.values()))


def _waits(to_run: Sequence[PlannedTrial]) -> dict[str, str]:
    """Returns which trial each one waits for: nothing is trained twice.

    Trials of one trajectory form a chain: the first of the shortest trains, the others of its
    length are only measured, the first of the next length continues it.
    """
    running = {planned.trial.trial_id for planned in to_run}
    waits: dict[str, str] = {}
    first_of_length: dict[tuple[str, int], str] = {}
    former: dict[str, str] = {}
    for planned in sorted(to_run, key=lambda each: each.trial.configuration.num_steps):
        trial = planned.trial
        if trial.teacher and trial.teacher.trial_id in running:
            waits[trial.trial_id] = trial.teacher.trial_id
        if trial.trainable != DEFAULT_TRAINABLE or trial.teacher or planned.known.step is not None:
            continue
        length = (trial.trajectory_id, trial.configuration.num_steps)
        first = first_of_length.setdefault(length, trial.trial_id)
        before = former.get(trial.trajectory_id) if first == trial.trial_id else first
        former[trial.trajectory_id] = first
        if before is not None:
            waits[trial.trial_id] = before
    return waits


def _judge(trial: Trial, known: Known, old: Former | None) -> tuple[State, str]:
    if known.is_final:
        return "cached", f"{known.status} before"
    before = f"{known.status} before: {known.reason}" if known.status else ""
    if known.step is not None:
        where = f"step {known.step}" + (f" of trial {known.origin}" if known.origin else "")
        return "resumable", f"from {where}" + (f" ({before})" if before else "")
    if before:
        return "new", before
    if old is not None:
        return "stale", difference(old.trial, trial)
    return "new", "never run"


def difference(old: Trial, new: Trial) -> str:
    """Says which inputs differ between two trials of one condition and seed."""
    before, after = old.configuration.fields(), new.configuration.fields()
    changes = [
        f"{field} changed from {before.get(field)} to {value}"
        for field, value in after.items()
        if before.get(field) != value
    ]
    if old.data_fingerprint != new.data_fingerprint and not changes:
        changes.append("the data changed")
    if old.trainable != new.trainable:
        changes.append(f"trainable changed from {old.trainable} to {new.trainable}")
    return ", ".join(changes) or "qdexp's RESULTS_REVISION changed: numbers moved since"
