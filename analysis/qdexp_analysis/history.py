"""What an experiment asked for and when: its looks, what it registered, and what changed later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from qdexp.experiment.looks import planned_schedule
from qdexp.results.ledger import SpecRecord, TrialRecord
from qdexp_analysis.looks import Looks
from qdexp_analysis.sequence import Course
from qdexp_analysis.table import Experiment

LEAST_JUDGED = 2
"""Seeds from which a difference has an uncertainty: fewer are no look."""

Definition = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a later spec asked for otherwise than the registered one.

    Args:
        at: When it was recorded, seconds since 1970.
        what: Which part: ``question``, ``margin``, ...
        before: As the spec before it had it.
        after: As it has it.
        num_results: Trials of the experiment that had their result by then.
    """

    at: float
    what: str
    before: Any
    after: Any
    num_results: int


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What was fixed before there were results, and what became of it.

    Args:
        at: When the spec was first recorded, seconds since 1970.
        num_before: Trials whose result was there already, from another experiment.
        looks_by_hand: Seeds that had results when others were asked for, rising.
        changes: In their order.
    """

    at: float
    num_before: int
    looks_by_hand: tuple[int, ...]
    changes: tuple[Change, ...]


def course_of(experiment: Experiment) -> Course:
    """Returns how an experiment is looked at: as planned, and as seeds were raised by hand."""
    planned = planned_schedule(experiment.spec.definition)
    schedule = {*planned, *looks_by_hand(experiment)}
    if not planned:
        schedule.add(len(experiment.seeds))
    return Course(looks=Looks(schedule=tuple(sorted(schedule))), is_adaptive=bool(planned))


def looks_by_hand(experiment: Experiment) -> tuple[int, ...]:
    """Returns how many seeds had results each time when a spec asked for another number of them."""
    found: set[int] = set()
    for before, after in pairwise(experiment.specs):
        seeds = _seeds(before.definition)
        if seeds != _seeds(after.definition):
            number = _num_finished(experiment, seeds, after.recorded_at)
            if number >= LEAST_JUDGED:
                found.add(number)
    return tuple(sorted(found))


def _num_finished(experiment: Experiment, seeds: Sequence[int], at: float) -> int:
    """Returns how many of the first seeds had all their trials' results at a time."""
    number = 0
    for seed in experiment.seeds:
        trials = [record for record in experiment.records if record.trial.seed == seed]
        if seed not in seeds or not all(_was_known(experiment, each, at) for each in trials):
            break
        number += 1
    return number


def _was_known(experiment: Experiment, record: TrialRecord, at: float) -> bool:
    since = experiment.known_since.get(record.trial_id)
    return since is not None and since <= at


def registration_of(experiment: Experiment) -> Registration:
    """Returns what an experiment registered, and every later change of it."""
    first = experiment.specs[0]
    changes = [
        change
        for before, after in pairwise(experiment.specs)
        for change in _changes(before, after, _num_results(experiment, after.recorded_at))
    ]
    return Registration(
        at=first.recorded_at,
        num_before=_num_results(experiment, first.recorded_at),
        looks_by_hand=looks_by_hand(experiment),
        changes=tuple(changes),
    )


def _num_results(experiment: Experiment, at: float) -> int:
    return sum(_was_known(experiment, record, at) for record in experiment.records)


def _changes(before: SpecRecord, after: SpecRecord, num_results: int) -> list[Change]:
    return [
        Change(at=after.recorded_at, what=what, before=old, after=new, num_results=num_results)
        for what, part in PARTS.items()
        if (old := part(before.definition)) != (new := part(after.definition))
    ]


def _metrics(definition: Definition) -> Mapping[str, Any]:
    return definition["metrics"]


def _seeds(definition: Definition) -> Sequence[int]:
    """Returns the seeds of what is judged in the end.

    An ablation path asks for them, and for its conditions, round by round. That is its rule and
    nobody's change of mind: whatever it ends with has all of them.
    """
    path: Mapping[str, Any] = definition.get("path") or definition
    return path["seeds"]


def _own_conditions(definition: Definition) -> Sequence[Any]:
    return () if definition.get("path") else definition.get("conditions") or ()


def _looks(definition: Definition) -> Any:  # noqa: ANN401
    planned = planned_schedule(definition)
    return ("looks", *planned) if planned else ("seeds", *_seeds(definition))


PARTS: dict[str, Callable[[Definition], Any]] = {
    "question": lambda of: of["question"],
    "primary metric": lambda of: _metrics(of)["primary"],
    "smallest effect of interest": lambda of: _metrics(of).get("smallest_effect"),
    "factors": lambda of: {each["field"]: each["levels"] for each in of["factors"]},
    "baseline": lambda of: {each["field"]: each["baseline"] for each in of["factors"]},
    "design": lambda of: of["design"],
    "fraction": lambda of: of.get("fraction"),
    "zipped factors": lambda of: of.get("zip") or [],
    "condition on levels": lambda of: of.get("where"),
    "own conditions": _own_conditions,
    "preset": lambda of: of.get("preset"),
    "fields set for all conditions": lambda of: of["set"],
    "trainable": lambda of: of.get("trainable"),
    "seeds": _looks,
    "controls": lambda of: of.get("controls") or [],
}
"""What is registered: the question, and all that decides which numbers answer it."""
