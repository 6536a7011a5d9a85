"""A plan: what a run would do with every trial, and why. Pure: what is known is an argument."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from qdexp.config.own_configuration import OwnConfiguration
from qdexp.config.settings import Settings
from qdexp.experiment.counting import counted
from qdexp.experiment.replicates import MOST, Same
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Condition, Trial, condition_label

State = Literal["new", "cached", "resumable", "stale", "orphaned"]

TO_RUN: frozenset[State] = frozenset({"new", "resumable", "stale"})

UNEXPLAINED = "the content of its identity changed: qdexp makes ids of other parts than before"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the ledger and the runs folder know of a trial that is asked for.

    Args:
        status: Of the last outcome, or None if there is none.
        is_final: Whether that outcome is a result.
        reason: Why the last attempt did not complete, in words.
        invalidated: Why that outcome counts no more, or None if it counts.
        step: Step of the checkpoint to go on from, or None.
        origin: The other trial whose checkpoint that is, or None for its own.
    """

    status: str | None = None
    is_final: bool = False
    reason: str = ""
    invalidated: str | None = None
    step: int | None = None
    origin: str | None = None


@dataclass(frozen=True, kw_only=True)
class Former:
    """A trial that the experiment once asked for and whose id is not asked for any more.

    Args:
        trial: The trial.
        trial_id: Its id, as it was then.
        condition: Its levels, as they were then.
        revision: The RESULTS_REVISION that is in its id, or None if it was never noted.
    """

    trial: Trial
    trial_id: str
    condition: Condition
    revision: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A trial, what a run would do with it, and why.

    Args:
        trial: The trial.
        condition: Its levels; empty for a teacher, which is compared with nothing.
        state: What a run would do.
        reason: Why.
        known: What is known of it.
        changes: Which inputs changed since the experiment asked for it, if it is stale.
        shared_with: Other experiments that ask for it too.
        waits_for: Another trial of the plan that runs before, since this one starts from its
            weights: its teacher, or one whose training is the beginning of its own. None if there
            is nothing to wait for.
    """

    trial: Trial
    condition: Condition
    state: State
    reason: str
    known: Known
    changes: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    waits_for: str | None = None

    @property
    def is_teacher(self) -> bool:
        """Tells whether it is here only because others learn from it."""
        return not self.condition

    @property
    def label(self) -> str:
        """Its condition and seed, as people read them."""
        return f"{condition_label(self.condition)}, seed {self.trial.seed}"

    @property
    def origin(self) -> str | None:
        """The other trial whose checkpoint it goes on from, or None if it begins by itself."""
        is_continued = self.waits_for is not None and self.trial.teacher is None
        return self.waits_for if is_continued else self.known.origin


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What may follow a plan, where seeds are added until all is decided.

    Args:
        schedule: Seeds at each look, rising.
        num_seeds: Seeds that the plan asks for: those of the next look.
        num_more: The most trials that later looks may ask for beside it.
    """

    schedule: tuple[int, ...]
    num_seeds: int
    num_more: int

    @property
    def in_words(self) -> str:
        """``up to the look at 5 seeds (of 3, 5, 8, 12); later looks ask for at most 21 more``."""
        listed = ", ".join(map(str, self.schedule))
        text = f"up to the look at {self.num_seeds} seeds (of {listed})"
        if self.num_seeds == self.schedule[-1]:
            return f"{text}, which is the last"
        more = f"at most {counted(self.num_more, 'trial')} more, for what is undecided then"
        return f"{text}; later looks ask for {more}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials that an experiment needs now, in order, and those it needs no more.

    Args:
        experiment: Its name.
        trials: What it asks for.
        orphans: What it once asked for.
        ahead: What may follow, where the number of seeds is not fixed.
    """

    experiment: str
    trials: tuple[PlannedTrial, ...]
    orphans: tuple[Former, ...]
    ahead: Ahead | None = None

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
        ahead = f"; {self.ahead.in_words}" if self.ahead else ""
        return f"{counted(len(self.trials), 'trial')}: {counts}{ahead}"


def make_plan(
    experiment: str,
    asked: Sequence[tuple[Trial, Condition]],
    known: Mapping[str, Known],
    former: Sequence[Former],
    shared: Mapping[str, tuple[str, ...]] | None = None,
) -> Plan:
    """Returns the plan of an experiment.

    Args:
        experiment: Its name.
        asked: The trials asked for, each with its condition.
        known: What is known, by trial id; ids that are missing are new.
        former: Trials asked for once and no more.
        shared: Other experiments that ask for a trial, by trial id.

    Raises:
        ValueError: Two conditions ask for one trial.
    """
    if len({trial.trial_id for trial, _ in asked}) != len(asked):
        raise ValueError(f"{experiment}: expected trials of different ids, found one twice")
    replaced = {(condition_label(f.condition), f.trial.seed): f for f in former}
    planned: list[PlannedTrial] = []
    for trial, condition in asked:
        facts = known.get(trial.trial_id, Known())
        label = condition_label(condition) if condition and replaced else ""
        old = replaced.pop((label, trial.seed), None) if label else None
        one = _judged(trial, condition, facts, old)
        planned.append(replace(one, shared_with=(shared or {}).get(trial.trial_id, ())))
    waits = _waits([each for each in planned if each.state in TO_RUN])
    for index, each in enumerate(planned):
        if each.trial.trial_id in waits:
            planned[index] = replace(each, waits_for=waits[each.trial.trial_id])
    return Plan(experiment=experiment, trials=tuple(planned), orphans=tuple(replaced.values()))


def _judged(trial: Trial, condition: Condition, facts: Known, old: Former | None) -> PlannedTrial:
    state, reason, changes = _judge(trial, facts, old)
    return PlannedTrial(
        trial=trial,
        condition=condition,
        state=state,
        reason=reason,
        known=facts,
        changes=changes,
    )


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


def _judge(trial: Trial, known: Known, old: Former | None) -> tuple[State, str, tuple[str, ...]]:
    if known.is_final:
        return "cached", f"{known.status} before", ()
    before = f"{known.status} before: {known.reason}" if known.status else ""
    if known.invalidated is not None:
        before = f"invalidated: {known.invalidated}"
    if known.step is not None:
        where = f"step {known.step}" + (f" of trial {known.origin}" if known.origin else "")
        return "resumable", f"from {where}" + (f" ({before})" if before else ""), ()
    if known.invalidated is not None:
        return "stale", before, (before,)
    if before:
        return "new", before, ()
    if old is not None:
        changes = differences(old, trial)
        return "stale", ", ".join(changes), changes
    return "new", "never run", ()


def differences(old: Former, new: Trial) -> tuple[str, ...]:
    """Returns which inputs differ between two trials of one condition and seed, in words."""
    if type(old.trial.configuration) is not type(new.configuration):
        return (f"{new.trainable} has another kind of configuration than before",)
    changed = _changed_fields(Same(old.trial.configuration), Same(new.configuration))
    changes = [f"{field} changed from {before} to {after}" for field, before, after in changed]
    is_told = any(field.startswith("data.") for field, _, _ in changed)
    if old.trial.data_fingerprint != new.data_fingerprint and not is_told:
        changes.append("the data changed")
    if old.trial.trainable != new.trainable:
        changes.append(f"trainable changed from {old.trial.trainable} to {new.trainable}")
    is_own = isinstance(new.configuration, OwnConfiguration)
    name = f"revision of {new.trainable}" if is_own else "RESULTS_REVISION"
    if old.revision is None and not changes:
        changes.append(f"{name} changed to {new.revision}, from which was not noted")
    elif old.revision not in (None, new.revision):
        changes.append(f"{name} changed from {old.revision} to {new.revision}")
    return tuple(changes) or (UNEXPLAINED,)


@lru_cache(maxsize=MOST)
def _changed_fields(old: Same[Settings], new: Same[Settings]) -> tuple[tuple[str, Any, Any], ...]:
    before, after = old.configuration.fields(), new.configuration.fields()
    return tuple(
        (field, before.get(field), value)
        for field, value in after.items()
        if before.get(field) != value
    )
