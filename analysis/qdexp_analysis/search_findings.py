"""What a search found: everything that words, tables and figures of its report say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord
from qdexp_analysis.contrasts import Contrast, paired
from qdexp_analysis.exploratory import SecondaryMetric
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.language import say
from qdexp_analysis.pareto import hypervolume, is_on_front, reference_point
from qdexp_analysis.search_path import SearchPath, search_path
from qdexp_analysis.searched import Objective, Searched
from qdexp_analysis.table import Experiment

Importance = Callable[[Sequence[Parameter], Sequence[SuggestionRecord], int], Mapping[str, float]]
"""Parameters, complete suggestions and the objective's position, to each parameter's share of the
variance alone, by field, for those that act in all of them."""

FEWEST = 4
"""Complete configurations from which a share of the variance is computed at all."""

MOST = 500
"""Complete configurations that a forest is fitted to: its time grows with their square."""

PER_PARAMETER = 10
"""Complete configurations of a parameter below which its importance is called uncertain."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a search went: a row for each suggestion that ended, in the order of suggesting.

    Args:
        numbers: Which.
        trials: Trials that the search had run by then; what was there before costs none.
        hours: Hours of these trials, times the GPUs of each where there are any.
        values: The primary objective; nan where it is not complete.
        best: The best of them so far; of several objectives the hypervolume of all so far, as a
            share of the box between the best values and the reference point. nan before any.
        on_gpus: Whether hours are GPU-hours.
    """

    numbers: tuple[int, ...]
    trials: Float[np.ndarray, " n"]
    hours: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    best: Float[np.ndarray, " n"]
    on_gpus: bool


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The check of the best on fresh seeds, judged as every experiment is.

    Args:
        findings: What it found.
        numbers: The suggestion that each of its conditions is, by position; None for another.
    """

    findings: Findings
    numbers: tuple[int | None, ...]

    def contrast_of(self, number: int) -> Contrast | None:
        """Returns a suggestion's contrast with the baseline, or None if it was not checked."""
        positions = [k for k, each in enumerate(self.numbers) if each == number]
        return next((c for c in self.findings.contrasts if c.condition in positions), None)

    def others(self, objectives: Sequence[Objective]) -> tuple["OtherObjective", ...]:
        """Returns what the check measured of the objectives after the first, where it can say."""
        known = {each.name: each for each in self.findings.secondary}
        return tuple(
            OtherObjective(position=k, objective=each, measured=known[each.metric.name])
            for k, each in enumerate(objectives)
            if k and each.metric.name in known
        )


@dataclass(frozen=True, kw_only=True)
class OtherObjective:
    """An objective after the first, as the check of the best measured it: without verdicts.

    Args:
        position: Its place among the search's objectives.
        objective: The objective.
        measured: Its differences from the baseline, with their false discovery rates.
    """

    position: int
    objective: Objective
    measured: SecondaryMetric

    def contrast_at(self, condition: int, baseline: int | None) -> Contrast | None:
        """Returns a condition's paired difference from the baseline, or None without pairs."""
        if baseline is None or self.measured.estimates[condition] is None:
            return None
        return paired(self.measured.scores, condition, baseline)


@dataclass(frozen=True, kw_only=True)
class SearchFindings:
    """The answer of a search, as numbers.

    Args:
        searched: What was asked, and what the ledger has.
        complete: Suggestions that measured every objective, in order.
        values: Their objectives.
        importances: Of each objective: every parameter's share of the variance alone, by field;
            None where it was not computed.
        confirmed: The check of the best, or None.
        path: The way from the baseline to the best, or None.
        left_out: The best without each of its changes, or None.
    """

    searched: Searched
    complete: tuple[SuggestionRecord, ...]
    values: Float[np.ndarray, "n m"]
    importances: tuple[Mapping[str, float], ...] | None
    confirmed: Confirmed | None
    path: SearchPath | None
    left_out: Findings | None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What was optimised."""
        return self.searched.objectives

    @property
    def is_single(self) -> bool:
        """Tells whether there is one objective, and so a best value."""
        return len(self.objectives) == 1

    @cached_property
    def losses(self) -> Float[np.ndarray, "n m"]:
        """The objectives, turned so that lower is better."""
        return self.values * np.array([each.sign for each in self.objectives])

    @cached_property
    def on_front(self) -> Bool[np.ndarray, " n"]:
        """Which complete suggestions no other one beats."""
        return is_on_front(self.losses)

    @cached_property
    def ranking(self) -> tuple[int, ...]:
        """Positions among `complete`, best first; of several objectives the front comes first.

        Of equal ones the earlier comes first.
        """
        keys = zip(~self.on_front, self.losses[:, 0], strict=True)
        ordered = sorted(enumerate(keys), key=lambda each: each[1]) if len(self.complete) else []
        return tuple(position for position, _ in ordered)

    @property
    def best(self) -> SuggestionRecord | None:
        """The best complete suggestion by the primary objective, of equal ones one of the front."""
        if not self.complete:
            return None
        return self.complete[int(np.where(self.on_front, self.losses[:, 0], np.inf).argmin())]

    @property
    def baseline_values(self) -> Float[np.ndarray, " m"] | None:
        """What the baseline measured, or None if it is not complete."""
        found = [k for k, each in enumerate(self.complete) if each.suggestion.number == 0]
        return self.values[found[0]] if found else None

    @property
    def has_variance(self) -> bool:
        """Tells whether complete configurations differ in the primary objective."""
        return len(self.complete) > 1 and bool(np.ptp(self.values[:, 0]) > 0)

    @cached_property
    def reference(self) -> Float[np.ndarray, " m"]:
        """The point up to which the hypervolume counts, in losses."""
        return reference_point(self.losses)

    @cached_property
    def course(self) -> Course:
        """How it went."""
        return _course(self)

    @cached_property
    def by_importance(self) -> tuple[Parameter, ...]:
        """The parameters, those that matter most to the primary objective first."""
        shares = self.importances[0] if self.importances else {}
        return tuple(
            sorted(self.searched.parameters, key=lambda each: -shares.get(each.field, 0.0))
        )


def find_search(searched: Searched, importance: Importance | None = None) -> SearchFindings:
    """Computes everything that the report of a search says.

    Args:
        searched: What the ledger has.
        importance: What splits the variance by parameter; without it nothing says so.
    """
    num = len(searched.objectives)
    complete = tuple(each for each in searched.history if _is_complete(each, num))
    values = np.array([each.told.values for each in complete if each.told], dtype=float)
    return SearchFindings(
        searched=searched,
        complete=complete,
        values=values.reshape(len(complete), num),
        importances=_importances(searched, complete, importance),
        confirmed=_confirmed(searched, searched.confirm) if searched.confirm else None,
        path=search_path(find(searched.path)) if searched.path else None,
        left_out=find(searched.left_out) if searched.left_out else None,
    )


def _confirmed(searched: Searched, confirm: Experiment) -> Confirmed:
    """Judges the check as the experiment that it is, its conditions called by their numbers."""
    positions = range(len(confirm.conditions))
    numbers = tuple(searched.number_of(confirm.records_at(k)[0]) for k in positions)
    names = {
        k: say("number {number}", number=number)
        for k, number in enumerate(numbers)
        if number is not None and k != confirm.baseline
    }
    if confirm.baseline is not None:
        names[confirm.baseline] = say("the baseline")
    return Confirmed(findings=find(replace(confirm, names=names)), numbers=numbers)


def _is_complete(record: SuggestionRecord, num_objectives: int) -> bool:
    told = record.told
    if told is None or told.ending != "complete" or len(told.values) != num_objectives:
        return False
    return bool(np.isfinite(told.values).all())


def spread(complete: Sequence[SuggestionRecord]) -> Sequence[SuggestionRecord]:
    """Returns `MOST` of them at most, evenly over the search."""
    if len(complete) <= MOST:
        return complete
    places = np.linspace(0, len(complete) - 1, MOST).round().astype(int)
    return [complete[k] for k in places]


def _importances(
    searched: Searched, complete: tuple[SuggestionRecord, ...], importance: Importance | None
) -> tuple[Mapping[str, float], ...] | None:
    if importance is None or len(complete) < FEWEST:
        return None
    fitted = spread(complete)
    return tuple(
        importance(searched.parameters, fitted, position)
        for position in range(len(searched.objectives))
    )


def _course(found: SearchFindings) -> Course:
    searched = found.searched
    ended = [each for each in searched.history if each.told is not None]
    places = {each.suggestion.number: k for k, each in enumerate(found.complete)}
    numbers = tuple(each.suggestion.number for each in ended)
    at = [places.get(number) for number in numbers]
    gpu = np.array([searched.gpu_seconds_of(each) for each in ended])
    seconds = gpu if gpu.any() else np.array([searched.seconds_of(each) for each in ended])
    costs = [0 if each.suggestion.origin == "ledger" else len(each.trial_ids) for each in ended]
    return Course(
        numbers=numbers,
        trials=np.cumsum(np.array(costs, dtype=float)),
        hours=np.cumsum(seconds) / 3600,
        values=np.array([np.nan if k is None else found.values[k, 0] for k in at]),
        best=_best_so_far(found, at),
        on_gpus=bool(gpu.any()),
    )


def _best_so_far(found: SearchFindings, at: Sequence[int | None]) -> Float[np.ndarray, " n"]:
    best = np.full(len(at), np.nan)
    front: list[int] = []  # what is beaten once tells nothing any more
    for row, position in enumerate(at):
        best[row] = best[row - 1] if row else np.nan
        if position is None or (found.losses[front] <= found.losses[position]).all(axis=1).any():
            continue
        stays = (found.losses[front] < found.losses[position]).any(axis=1)
        front = [*np.array(front, dtype=int)[stays], position]
        is_single = found.is_single
        best[row] = found.values[position, 0] if is_single else _share_dominated(found, front)
    return best


def _share_dominated(found: SearchFindings, front: Sequence[int]) -> float:
    box = float(np.prod(found.reference - found.losses.min(axis=0)))
    dominated = hypervolume(found.losses[list(front)], found.reference)
    return dominated / box if box > 0 else 0.0
