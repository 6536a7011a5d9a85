"""What the plan and the end of a search say of its budget of trials."""

from collections.abc import Sequence

from qdexp.execution.spending import configurations_left, num_paid
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.suggestions import SuggestionRecord


def asked_for_fewer(
    search: SearchSpec, num_trials: int | None, records: Sequence[SuggestionRecord]
) -> str:
    """Returns that more trials were tried before than `--trials` says, or nothing.

    Args:
        search: The search.
        num_trials: What ``--trials`` says, or None.
        records: All that it suggested.
    """
    tried = num_paid(records) * len(search.spec.seeds)
    if num_trials is None or tried <= num_trials:
        return ""
    return f"--trials {num_trials}: {tried} were tried already"


def what_continues(search: SearchSpec, records: Sequence[SuggestionRecord]) -> str:
    """Returns what goes on with a search whose budget is spent.

    Args:
        search: The search.
        records: All that it suggested.
    """
    if configurations_left(search, records) != 0:
        return "a larger budget in the file continues it"
    paid, seeds = num_paid(records), len(search.spec.seeds)
    more = (paid + max(1, paid // 2)) * seeds
    command = f"`qdexp search {search.spec.file} --trials {more}`"
    return f"{command}, or a larger budget in the file, continues it"
