"""`qdexp plan` of a search: what it would do, and what it would take."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.api.composition import NOBODY, Audience, dataset_of
from qdexp.api.confirming import confirmation_of
from qdexp.api.request import Request, SpecSource
from qdexp.results.derived_files import derived_file
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.execution.search_estimate import SearchEstimate
    from qdexp.execution.study import Candidates
    from qdexp.execution.warm_start import Found
    from qdexp.experiment.search_spec import SearchSpec
    from qdexp.results.suggestions import SuggestionRecord, TimeSpent


@dataclass(frozen=True, kw_only=True)
class SearchOutlook:
    """What a search knows, what it would do, and what that would take.

    Args:
        spec: The search.
        records: What it suggested so far.
        spent: How long its trials ran.
        why_spent: Which part of its budget is spent, in words, or nothing.
        why_exhausted: Why its space has nothing left, in words, or nothing where it may have.
        num_found: Configurations in the ledger that it would be told of.
        num_open: Trials of its suggestions that have not ended, at most.
        num_ahead: Trials of others that its budget and its space have room for, or None where time
            alone counts.
        num_to_confirm: Trials of the check of its best that would run; at most so many while the
            search goes on.
        estimate: What all that would take, or None where nothing is known of trials like these.
    """

    spec: "SearchSpec"
    records: "tuple[SuggestionRecord, ...]"
    spent: "TimeSpent"
    why_spent: str
    why_exhausted: str
    num_found: int
    num_open: int
    num_ahead: int | None
    num_to_confirm: int
    estimate: "SearchEstimate | None"

    @property
    def is_over(self) -> bool:
        """Tells whether the search itself has nothing to run."""
        return self.num_open == self.num_ahead == 0


def plan_search(
    spec: SpecSource,
    *,
    set: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    runs: Path | str | None = None,
) -> SearchOutlook:
    """Returns what `search` would do, and what that would take; touches nothing.

    Args:
        spec: The path of a YAML file, or its content as a dict.
        set: Fields to set in the baseline, over the spec's `set`.
        seeds: Number of seeds of each configuration instead of the spec's.
        trials: The budget in trials instead of the spec's.
        runs: The runs folder; ``$QDEXP_RUNS`` or ``runs`` unless given.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    return search_outlook(
        Request(spec=spec, fields=set or {}, num_seeds=seeds, runs=runs, num_trials=trials)
    )


def search_outlook(request: Request, audience: Audience = NOBODY) -> SearchOutlook:
    """Returns what a search would do and take; touches nothing.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    from qdexp.execution.study import Candidates, check_goes_on

    spec = request.read_search()
    candidates = Candidates(spec, dataset_of(request.runs_folder, audience))
    with Ledger(request.runs_folder) as ledger:
        check_goes_on(spec, candidates, ledger)
        return _Planner(spec, candidates, ledger, audience).outlook()


class _Planner:
    """Reads from the ledger what a search is about to do."""

    def __init__(
        self, spec: "SearchSpec", candidates: "Candidates", ledger: Ledger, audience: Audience
    ) -> None:
        from qdexp.results.suggestions import suggestions_of, time_spent

        self._spec = spec
        self._candidates = candidates
        self._ledger = ledger
        self._audience = audience
        self._records = tuple(suggestions_of(ledger, spec.name))
        self._spent = time_spent(ledger, spec.name)

    def outlook(self) -> SearchOutlook:
        from qdexp.execution.possible import Possible
        from qdexp.execution.spending import configurations_left, why_spent

        spec, records, found = self._spec, self._records, self._found()
        why = why_spent(spec, records, self._spent)
        num_open = sum(len(each.trial_ids) for each in records if each.told is None)
        known = {each.trial_ids[0] for each in (*records, *found)}
        possible = Possible(spec, self._candidates)
        left = possible.at_most(0 if why else configurations_left(spec, records), known)
        num_ahead = None if left is None else left * len(spec.spec.seeds)
        num_to_run = inf if num_ahead is None else num_open + num_ahead
        num_to_confirm = self._num_to_confirm(is_over=not num_to_run)
        return SearchOutlook(
            spec=spec,
            records=records,
            spent=self._spent,
            why_spent=why,
            why_exhausted="" if why else possible.why_exhausted(known),
            num_found=len(found),
            num_open=num_open,
            num_ahead=num_ahead,
            num_to_confirm=num_to_confirm,
            estimate=self._estimate(num_to_run, num_to_confirm),
        )

    def _found(self) -> "list[Found]":
        """Returns what the ledger has of its space beside what was suggested."""
        from qdexp.execution.warm_start import found_in

        known = {record.trial_ids for record in self._records}
        baseline = self._candidates.trials(self._spec.spec.baseline)
        known.add(tuple(trial.trial_id for trial in baseline))
        found = found_in(self._spec, self._ledger, self._candidates.trials)
        return [each for each in found if each.trial_ids not in known]

    def _num_to_confirm(self, *, is_over: bool) -> int:
        from qdexp.execution.planning import plan_of
        from qdexp.experiment.reader import spec_of

        spec, runs = self._spec, self._ledger.runs
        if spec.confirm is None:
            return 0
        of_best = spec.confirm.top * len(spec.confirm.seeds)
        made = confirmation_of(spec, runs)
        if made is None:
            return 0 if is_over else of_best + len(spec.confirm.seeds)
        asked = spec_of(made.text, derived_file(runs, made.name))
        to_run = plan_of(asked, self._ledger, dataset_of(runs, self._audience)).to_run
        if is_over:
            return len(to_run)
        # Which the best will be is not known yet; the baseline stays what it is.
        return of_best + sum(each.condition == asked.baseline for each in to_run)

    def _estimate(self, num_trials: float, num_to_confirm: int) -> "SearchEstimate | None":
        from qdexp.execution import machine
        from qdexp.execution.estimate import capacity_of
        from qdexp.execution.measured import measurements
        from qdexp.execution.search_estimate import Ahead, search_estimate

        spec, resources = self._spec, self._spec.spec.resources
        values = [spec.spec.baseline, *(each.suggestion.values for each in self._records)]
        tried = [trial for each in values for trial in self._candidates.trials(each)]
        return search_estimate(
            spec,
            tried,
            measurements(self._ledger, tried),
            capacity_of(resources, cpus=machine.num_cpus(), gpus=machine.num_gpus()),
            Ahead(num_trials=num_trials, num_to_confirm=num_to_confirm, spent=self._spent),
        )
