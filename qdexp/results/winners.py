"""Which configuration a search ends with: the best of those confirmed, else the best suggestion."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.errors import NotFoundError, RequestError
from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.path_text import Winner
from qdexp.results.best import best_of
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


def winner_of(ledger: Ledger, source: Source, chosen: int | None = None) -> Winner:
    """Returns the configuration that a search ends with, or the suggestion that was chosen.

    Raises:
        RequestError: Nothing but the baseline is complete, or the check of the best is not over;
            or the chosen one is not complete, or is the baseline.
    """
    if chosen is not None:
        return _chosen(ledger, source, chosen)
    return _confirmed(ledger, source) or _suggested(ledger, source)


def _chosen(ledger: Ledger, source: Source, number: int) -> Winner:
    records = suggestions_of(ledger, source.name)
    record = next((each for each in records if each.suggestion.number == number), None)
    if record is None:
        found = "none"
    elif record is records[0]:
        found = "its baseline"
    elif not record.objectives:
        found = f"one that is {record.told.ending if record.told else 'open'}"
    else:
        return _winner(record, source, " of", (record.objectives[0], _baseline_value(records)))
    raise RequestError(
        f"--suggestion {number}: expected a complete suggestion of {source.name} beside its "
        f"baseline, found {found}: `qdexp report {source.name} --format suggestions` lists them"
    )


def _baseline(ledger: Ledger, name: str) -> TrialRecord:
    records = suggestions_of(ledger, name)
    if not records:
        raise RequestError(f"expected a search that has begun, found no suggestion of {name}")
    return ledger.trial(records[0].trial_ids[0])


def _suggested(ledger: Ledger, source: Source) -> Winner:
    records, objectives = suggestions_of(ledger, source.name), _objectives(source)
    best = best_of(records, [direction for _, direction in objectives], 1)
    if not best:
        raise RequestError(
            f"expected a complete suggestion of {source.name} beside the baseline, found none: "
            "`qdexp search` goes on with it"
        )
    so_far = " so far" if any(each.told is None for each in records) else ""
    what = f", the best{so_far} of"
    return _winner(best[0], source, what, (best[0].objectives[0], _baseline_value(records)))


def _baseline_value(records: Sequence[SuggestionRecord]) -> float:
    return records[0].objectives[0] if records[0].objectives else math.nan


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
    metric, direction = _objectives(source)[0]
    means: dict[int, float] = {}
    for condition, number in zip(definition["conditions"], origin["suggestions"], strict=True):
        mean = _mean([each for each in members if each.condition == condition], metric)
        if math.isfinite(mean):
            means[number] = mean
    found = [
        each for each in suggestions_of(ledger, source.name) if each.suggestion.number in means
    ]
    if not found:
        return None
    signed = 1 if direction == "lower" else -1
    best = min(found, key=lambda each: signed * means[each.suggestion.number])
    values = (means[best.suggestion.number], _mean(of_baseline, metric))
    return _winner(best, source, ", the best on fresh seeds of", values)


def _mean(records: Sequence[TrialRecord], metric: str) -> float:
    values = [_value(each, metric) for each in records]
    return math.fsum(values) / len(values) if values else math.nan


def _value(record: TrialRecord, metric: str) -> float:
    counted = record.counted
    if counted is None or counted.status != "completed":
        return math.nan
    return counted.measurements.get(metric, math.nan)


def _winner(
    record: SuggestionRecord, source: Source, what: str, values: tuple[float, float]
) -> Winner:
    """Returns a suggestion as a winner.

    Args:
        record: The suggestion.
        source: The search.
        what: What it is of the search: what follows its number.
        values: Its first objective and the baseline's, which may be nan.
    """
    number = record.suggestion.number
    in_words = f"suggestion {number}{what} the search {source.name}"
    (metric, direction), (own, baseline) = _objectives(source)[0], values
    is_no_gain = own >= baseline if direction == "lower" else own <= baseline
    no_gain = f"{in_words}: {metric} {own:.6g}, the baseline's is {baseline:.6g}"
    return Winner(
        values=record.suggestion.values,
        in_words=in_words,
        search=source.name,
        suggestion=number,
        no_gain=no_gain if is_no_gain else "",
    )


def _objectives(source: Source) -> "list[tuple[str, Direction]]":
    objectives: Sequence[Mapping[str, Any]] = source.definition["search"]["objectives"]
    return [(each["metric"], each["direction"]) for each in objectives]
