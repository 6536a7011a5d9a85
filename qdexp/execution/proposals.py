"""What a search tries next: the baseline, what its spec asks for, then what is suggested."""

from qdexp.execution.collaborators import FurtherTrials
from qdexp.execution.possible import Possible
from qdexp.execution.search_ports import Suggested, Suggester
from qdexp.execution.spending import configurations_left, why_spent
from qdexp.execution.study import Candidates, Study
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Condition
from qdexp.results.suggestions import Origin, SuggestionRecord, TimeSpent


class Proposals:
    """Makes a search's suggestions, one by one.

    Args:
        spec: The search.
        study: What it knows; a suggestion is in the ledger before anybody hears of it.
        candidates: The trials of its configurations.
        suggester: Says where to look.
    """

    def __init__(
        self, spec: SearchSpec, study: Study, candidates: Candidates, suggester: Suggester
    ) -> None:
        self._spec = spec
        self._study = study
        self._candidates = candidates
        self._suggester = suggester
        self._possible = Possible(spec, candidates)
        self.why_ended = ""

    def next(self, spent: TimeSpent) -> SuggestionRecord | None:
        """Adds a suggestion and returns it, or None and says in `why_ended` why there is none.

        Args:
            spent: How long trials of the search have run.
        """
        if not self.why_ended:
            self.why_ended = why_spent(self._spec, self._study.records, spent)
        if self.why_ended:
            return None
        found = self._found()
        if found is None:
            why = self._possible.why_exhausted(self._study.number_of)
            self.why_ended = why or "no other configuration of its space was found"
            return None
        origin, suggested = found
        trials = self._candidates.trials(suggested.values)
        return self._study.add(suggested.values, origin, trials, suggested.attributes)

    @property
    def ahead(self) -> FurtherTrials:
        """Trials that the budget and the space have room for, and those that check the best."""
        left = configurations_left(self._spec, self._study.records)
        left = self._possible.at_most(left, self._study.number_of)
        confirm = self._spec.confirm
        return FurtherTrials(
            num_of_search=None if left is None else left * len(self._spec.spec.seeds),
            num_to_confirm=(confirm.top + 1) * len(confirm.seeds) if confirm else 0,
        )

    def _found(self) -> tuple[Origin, Suggested] | None:
        records = self._study.records
        if not records:
            return "baseline", Suggested(values=self._spec.spec.baseline, attributes={})
        for values in self._spec.enqueue:
            if self._accepts(values):
                return "enqueued", Suggested(values=values, attributes={})
        suggested = self._suggester.suggest(records, self._accepts)
        return suggested and ("sampler", suggested)

    def _accepts(self, values: Condition) -> bool:
        """Tells whether values go together and were not suggested before, under any name."""
        trial_id = self._candidates.trial_id(values)
        return trial_id is not None and trial_id not in self._study.number_of
