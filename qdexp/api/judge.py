"""Who judges which conditions need more seeds: the analysis, by the verdicts of its report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qdexp.execution.looking import FIRST_LOOK

if TYPE_CHECKING:
    from qdexp.experiment.spec import Spec
    from qdexp.experiment.trial import Condition, Trial
    from qdexp.results.ledger import Ledger


class ReportJudge:
    """Judges as the report does; loads the analysis when it is first asked."""

    def seeds_wanted(
        self, spec: "Spec", trials: "Sequence[tuple[Trial, Condition]]", ledger: "Ledger"
    ) -> tuple[int, ...]:
        """Returns how many seeds each condition needs by what is known of them now."""
        assert spec.looks is not None
        first = set(spec.seeds[: spec.looks.least])
        if not ledger.has_outcomes([each.trial_id for each, _ in trials if each.seed in first]):
            return FIRST_LOOK.seeds_wanted(spec, trials, ledger)
        from qdexp_analysis.judging import seeds_wanted

        conditions = [condition for condition, _ in spec.grid.conditions]
        return seeds_wanted(ledger, (spec.file, spec.text, spec.definition()), trials, conditions)
