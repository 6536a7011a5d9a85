"""The best that a search found so far, in words."""

from collections.abc import Sequence

from qdexp.experiment.search_spec import Direction
from qdexp.experiment.trial import condition_label
from qdexp.results.confirmation import best_of
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import SuggestionRecord, is_search, suggestions_of


def best_in_words(
    records: Sequence[SuggestionRecord], objectives: Sequence[tuple[str, Direction]]
) -> str:
    """Returns ``best error 0.25 (suggestion 7: rate=0.5); baseline 0.5``, or less where less.

    Args:
        records: The suggestions.
        objectives: The metrics, each with its direction.
    """
    metric = objectives[0][0]
    best = best_of(records, [direction for _, direction in objectives])
    parts = [f"{_value(each)} (suggestion {_label(each)})" for each in best[:1]]
    parts = [f"best {metric} {part}" for part in parts] or ["nothing found yet"]
    parts += [f"baseline {_value(each)}" for each in records[:1] if _is_complete(each)]
    if len(objectives) > 1:
        parts.append(f"{len(best)} that none beats in all {len(objectives)} objectives")
    return "; ".join(parts)


def best_of_search(ledger: Ledger, name: str) -> str:
    """Returns the best that a search of a ledger found, in words, or nothing for an ablation."""
    if not is_search(ledger, name):
        return ""
    objectives = ledger.specs(name)[-1].definition["search"]["objectives"]
    pairs = [(each["metric"], each["direction"]) for each in objectives]
    return best_in_words(suggestions_of(ledger, name), pairs)


def _is_complete(record: SuggestionRecord) -> bool:
    return record.told is not None and record.told.ending == "complete"


def _value(record: SuggestionRecord) -> str:
    assert record.told is not None
    return f"{record.told.values[0]:.6g}"


def _label(record: SuggestionRecord) -> str:
    return f"{record.suggestion.number}: {condition_label(record.suggestion.values)}"
