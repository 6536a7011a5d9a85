"""Which configuration a search ends with: the best of those confirmed, else the best suggestion."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.errors import NotFoundError, RequestError
from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.path_text import Winner
from qdexp.results.confirmation import best_of
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.suggestions import SuggestionRecord, suggestions_of

if TYPE_CHECKING:
    from qdexp.experiment.search_spec import Direction


def source_of(ledger: Ledger, name: str) -> Source:
    """Returns a search as what other experiments come from.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: It is no search, or has not begun.
    """
    spec = ledger.specs(name)[-1]
    if "search" not in spec.definition:
        problem = f"expected a search, or a configuration's file, found the experiment {name}"
        raise RequestError(f"{problem}: its spec has factors, which its report is about")
    return Source(
        definition=spec.definition,
        baseline=_baseline(ledger, name).trial.configuration.fields(),
        folder=str(Path(spec.file).absolute().parent),
    )


def winner_of(ledger: Ledger, source: Source) -> Winner:
    """Returns the configuration that a search ends with.

    Raises:
        RequestError: Nothing but the baseline is complete, or the check of the best is not over.
    """
    return _confirmed(ledger, source) or _suggested(ledger, source)


def _baseline(ledger: Ledger, name: str) -> TrialRecord:
    records = suggestions_of(ledger, name)
    if not records:
        raise RequestError(f"expected a search that has begun, found no suggestion of {name}")
    return ledger.trial(records[0].trial_ids[0])


def _suggested(ledger: Ledger, source: Source) -> Winner:
    objectives: Sequence[Mapping[str, Any]] = source.definition["search"]["objectives"]
    directions: list[Direction] = [each["direction"] for each in objectives]
    best = best_of(suggestions_of(ledger, source.name), directions, 1)
    if not best:
        raise RequestError(
            f"expected a complete suggestion of {source.name} beside the baseline, found none: "
            "`qdexp search` goes on with it"
        )
    return _winner(best[0], source, "the best of")


def _confirmed(ledger: Ledger, source: Source) -> Winner | None:
    """Returns the best of those that were run on fresh seeds, of which all completed."""
    name = derived_name(source.name, "confirm")
    try:
        definition = ledger.specs(name)[-1].definition
    except NotFoundError:
        return None
    origin: Mapping[str, Any] = definition.get("confirms") or {}
    members = [each for each in ledger.members(name) if each.is_asked_for]
    of_baseline = [each for each in members if each.condition == definition["baseline"]]
    is_of_it = origin.get("search") == source.name and all(
        each.trial.configuration.fields() == source.baseline for each in of_baseline
    )
    if not is_of_it or not of_baseline:
        return None  # made of the search before its baseline was changed
    if any(each.counted is None for each in members):
        raise RequestError(
            f"expected the check of the best of {source.name} to be over, found trials of {name} "
            "that have not ended: `qdexp search` goes on with it"
        )
    sign = 1 if source.definition["search"]["objectives"][0]["direction"] == "lower" else -1
    means: list[tuple[float, int]] = []
    for condition, number in zip(definition["conditions"], origin["suggestions"], strict=True):
        own = [each for each in members if each.condition == condition]
        values = [_value(each, definition["metrics"]["primary"]) for each in own]
        if values and all(map(math.isfinite, values)):
            means.append((sign * math.fsum(values) / len(values), number))
    by_number = {each.suggestion.number: each for each in suggestions_of(ledger, source.name)}
    best = next((by_number[each] for _, each in sorted(means) if each in by_number), None)
    return _winner(best, source, "the best on fresh seeds of") if best else None


def _value(record: TrialRecord, metric: str) -> float:
    counted = record.counted
    if counted is None or counted.status != "completed":
        return math.nan
    return counted.measurements.get(metric, math.nan)


def _winner(record: SuggestionRecord, source: Source, what: str) -> Winner:
    number = record.suggestion.number
    return Winner(
        values=record.suggestion.values,
        in_words=f"suggestion {number}, {what} the search {source.name}",
        search=source.name,
        suggestion=number,
    )
