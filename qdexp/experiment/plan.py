"""A plan: what a run would do with every trial, and why. Pure: what is known is an argument."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qdexp.experiment.trial import Condition, Trial, condition_label

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
    """A trial, what a run would do with it, and why."""

    trial: Trial
    condition: Condition
    state: State
    reason: str
    known: Known


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
        old = replaced.pop((condition_label(condition), trial.seed), None)
        state, reason = _judge(trial, facts, old)
        planned.append(
            PlannedTrial(trial=trial, condition=condition, state=state, reason=reason, known=facts)
        )
    return Plan(experiment=experiment, trials=tuple(planned), orphans=tuple(replaced.values()))


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
