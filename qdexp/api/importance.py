"""What the report of a search asks for of Optuna, which is imported when it is asked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdexp.experiment.space import Parameter
    from qdexp.results.suggestions import SuggestionRecord


def importance(
    parameters: "Sequence[Parameter]", complete: "Sequence[SuggestionRecord]", objective: int
) -> Mapping[str, float]:
    """Returns each parameter's share of the variance alone; see `qdexp_analysis.write_report`."""
    from qdexp.backends.optuna_suggester.importance import importances

    return importances(parameters, complete, objective)
