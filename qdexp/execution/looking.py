"""Which seeds are asked for now: all of them, or as many as the judge has not done with."""

from collections.abc import Sequence
from typing import Protocol

from qdexp.experiment.plan import Ahead
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger


class Judge(Protocol):
    """Says what is decided, as the report does: a port, filled at the composition root."""

    def seeds_wanted(
        self, spec: Spec, trials: Sequence[tuple[Trial, Condition]], ledger: Ledger
    ) -> tuple[int, ...]:
        """Returns how many seeds each condition needs by what is known of them now.

        Args:
            spec: The experiment, whose `looks` say when it is judged.
            trials: All trials that it may ask for, controls included.
            ledger: Their outcomes.

        Returns:
            A number for each of the spec's conditions. It is that of a look: what is undecided
            there needs those of the next one, and so does the baseline.
        """
        ...


class FirstLook:
    """A judge that never saw a result: every condition gets the seeds of the first look."""

    def seeds_wanted(
        self, spec: Spec, trials: Sequence[tuple[Trial, Condition]], ledger: Ledger
    ) -> tuple[int, ...]:
        """Returns the seeds of the first look for every condition."""
        del trials, ledger
        assert spec.looks is not None
        return (spec.looks.least,) * len(spec.grid.conditions)


class LastLook:
    """A judge that decides nothing: every condition gets the seeds of the last look."""

    def seeds_wanted(
        self, spec: Spec, trials: Sequence[tuple[Trial, Condition]], ledger: Ledger
    ) -> tuple[int, ...]:
        """Returns the seeds of the last look for every condition."""
        del trials, ledger
        assert spec.looks is not None
        return (spec.looks.most,) * len(spec.grid.conditions)


FIRST_LOOK, LAST_LOOK = FirstLook(), LastLook()


def trials_wanted(
    spec: Spec, fingerprints: Sequence[str], ledger: Ledger, judge: Judge
) -> list[tuple[Trial, Condition]]:
    """Returns the trials that a spec asks for at present, in the order of a plan."""
    if spec.looks is None:
        return spec.trials(fingerprints)
    wanted = judge.seeds_wanted(spec, spec.trials(fingerprints), ledger)
    return spec.trials(fingerprints, wanted)


def ahead_of(spec: Spec, asked: Sequence[tuple[Trial, Condition]]) -> Ahead | None:
    """Returns what may follow after the trials that are asked for now."""
    if spec.looks is None:
        return None
    num_seeds = len({trial.seed for trial, condition in asked if condition})
    most = len(spec.grid.conditions) * spec.looks.most
    most += len(spec.controls) * spec.num_control_seeds
    num_asked = sum(bool(condition) for _, condition in asked)
    return Ahead(schedule=spec.looks.schedule, num_seeds=num_seeds, num_more=most - num_asked)
