"""The use case of an ablation path: round by round from a baseline to a winner.

Each round is the spec of one and the same experiment, whose conditions grow. What decides a round
is in the ledger: a walk that was killed goes on where it was.
"""

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from qdexp.execution.looking import FIRST_LOOK
from qdexp.execution.planning import asked_trials
from qdexp.execution.ports import Dataset
from qdexp.execution.racing import FIRST_SEEDS, best_of, num_looks, still_racing
from qdexp.experiment.ablation_path import Candidate, Change, Round
from qdexp.experiment.changes import Changes
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.search_spec import Direction
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Condition
from qdexp.results.ledger import Ledger, TrialRecord

Measured = Sequence[tuple[Condition, Sequence[float | None]]]
"""Conditions, each with a value for every seed, None where that is not completed."""

Measure = Callable[[Sequence[Round], int], Measured]
"""Runs what is missing for rounds on the first so many seeds, and returns all that was measured."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a path is walked.

    Args:
        num_seeds: Seeds of what stays on the path.
        direction: Which values are better.
        is_raced: Whether candidates that are clearly worse are dropped before they have all seeds.
    """

    num_seeds: int
    direction: Direction
    is_raced: bool = False

    def stages(self, num_candidates: int) -> range:
        """Returns after how many seeds a round is looked at."""
        if not self.is_raced or num_candidates == 1 or self.num_seeds <= FIRST_SEEDS:
            return range(self.num_seeds, self.num_seeds + 1)
        return range(FIRST_SEEDS, self.num_seeds + 1)


def walked(
    changes: Changes,
    rules: Rules,
    measure: Measure,
    begun: Sequence[Round] = (),
) -> tuple[Round, ...]:
    """Returns the path; it ends in a round that keeps none where no candidate completed.

    Args:
        changes: What differs.
        rules: How.
        measure: Runs what is missing.
        begun: Rounds that were decided before.
    """
    rounds = list(begun)
    changed = [field for each in rounds if each.kept for field in each.kept.change]
    while ways := changes.candidates(changed):
        place = changes.condition(changed)
        candidates = [
            Candidate(change=way, condition=changes.condition([*changed, *way])) for way in ways
        ]
        rounds.append(_Race(rules, measure, rounds).decided(place, candidates))
        if (kept := rounds[-1].kept) is None:
            break
        changed += kept.change
    return tuple(rounds)


def still_decided(rounds: Sequence[Round], known: Measured) -> list[Round]:
    """Returns decided rounds up to the first of which a result is not there any more."""
    lacking = [condition for condition, values in known if len(_numbers(values)) < len(values)]

    def is_known(round_: Round) -> bool:
        return not any(each.is_listed and each.condition in lacking for each in round_.candidates)

    return list(itertools.takewhile(is_known, rounds))


def measured(spec: Spec, ledger: Ledger, dataset: Dataset) -> Measured:
    """Returns what the ledger knows of a spec's conditions, on its primary metric."""
    asked = asked_trials(spec, ledger, dataset, FIRST_LOOK)
    values = {
        (canonical_json(dict(condition)), trial.seed): _value(
            ledger.find(trial.trial_id), spec.metrics.primary
        )
        for trial, condition in asked
    }
    return [
        (condition, [values[canonical_json(dict(condition)), seed] for seed in spec.seeds])
        for condition, _ in spec.grid.conditions
    ]


def _value(record: TrialRecord | None, metric: str) -> float | None:
    counted = record.counted if record else None
    if counted is None or counted.status != "completed":
        return None
    return counted.measurements.get(metric)


class _Race:
    """One round: candidates get their seeds, and the best of those that completed is kept."""

    def __init__(self, rules: Rules, measure: Measure, before: Sequence[Round]) -> None:
        self._rules = rules
        self._measure = measure
        self._before = tuple(before)

    def decided(self, place: Condition, candidates: Sequence[Candidate]) -> Round:
        """Returns the round with what it kept, and with who is asked for no more."""
        able = [each.change for each in candidates]
        values: dict[Change, list[float]] = {}
        failed = set(able)
        while able and failed:
            # Who fails late may have led: those that it beat race again without it.
            values, failed = self._raced(place, candidates, able)
            able = [each for each in able if each not in failed]
        found = _round(place, candidates, values)
        best = best_of(values, self._rules.direction) if values else None
        kept = next((each for each in found.candidates if each.change == best), None)
        return replace(found, kept=kept)

    def _raced(
        self, place: Condition, candidates: Sequence[Candidate], able: Sequence[Change]
    ) -> tuple[dict[Change, list[float]], set[Change]]:
        """Returns what the candidates measured that stay to the end, and who did not complete."""
        rules, racing, failed = self._rules, list(able), set[Change]()
        values: dict[Change, list[float]] = {}
        for number in rules.stages(len(able)):
            if len(racing) == 1 and number < rules.num_seeds:
                continue  # nobody to race with
            measured = self._measured(_round(place, candidates, racing), number)
            values = {each: _numbers(measured[each]) for each in racing}
            failed |= {each for each in racing if len(values[each]) < number}
            values = {each: own for each, own in values.items() if each not in failed}
            racing = list(values)
            if not racing:
                break
            if number < rules.num_seeds:
                racing = still_racing(
                    values,
                    rules.direction,
                    num_candidates=len(candidates),
                    num_looks=num_looks(rules.num_seeds),
                )
        return {each: values[each] for each in racing}, failed

    def _measured(self, round_: Round, number: int) -> dict[Change, Sequence[float | None]]:
        found = self._measure((*self._before, round_), number)
        return {
            each.change: next(own for condition, own in found if condition == each.condition)
            for each in round_.candidates
            if each.is_listed
        }


def _round(place: Condition, candidates: Sequence[Candidate], listed: Collection[Change]) -> Round:
    """Returns an undecided round that asks for some of its candidates."""
    marked = tuple(replace(each, is_listed=each.change in listed) for each in candidates)
    return Round(before=place, candidates=marked, kept=None)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [each for each in values if each is not None and math.isfinite(each)]
