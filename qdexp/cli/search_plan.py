"""`qdexp plan` of a search: what it found so far, what is open, and what its budget has left."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import typer

from qdexp.api.request import Request
from qdexp.api.search_planning import SearchOutlook, search_outlook
from qdexp.cli.durations import range_as_json, range_in_words
from qdexp.cli.run_command import audience
from qdexp.cli.search_words import asked_for_fewer, what_continues
from qdexp.cli.status_command import one_line
from qdexp.cli.tables import aligned, wrapped
from qdexp.errors import RequestError
from qdexp.experiment.counting import counted
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.trial import Condition, condition_label
from qdexp.results.best import best_in_words
from qdexp.results.suggestions import SuggestionRecord


def show_search_plan(request: Request, *, as_json: bool, with_probe: bool) -> None:
    """Prints what `qdexp search` would do.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    if with_probe:
        raise RequestError(
            "--probe: expected the spec of an ablation beside it, found that of a search, whose "
            "trials are not known beforehand"
        )
    found = search_outlook(request, audience())
    if as_json:
        typer.echo(canonical_json(_as_json(found)))
        return
    rows = [_row(each, found.spec.acting(each.suggestion.values)) for each in found.records]
    if rows:
        header = ("number", "from", "ended", "objectives", "values", "why")
        typer.echo(f"{aligned(header, rows)}\n")
    for line in _lines(found, request.num_trials):
        typer.echo(wrapped(line))


def _row(record: SuggestionRecord, acting: Condition) -> tuple[object, ...]:
    suggestion, told = record.suggestion, record.told
    values = ", ".join(f"{value:.6g}" for value in told.values) if told else ""
    ended = told.ending if told else "open"
    why = one_line(told.reason) if told else "goes on"
    label = condition_label(acting)
    return (suggestion.number, suggestion.origin, ended, values, label, why)


def _lines(found: SearchOutlook, num_trials: int | None) -> Iterator[str]:
    spec, records = found.spec, found.records
    yield f"{spec.size_in_words}{_hours(found)}"
    yield from (f"note: {note}" for note in spec.notes)
    if records:
        counts = Counter(each.told.ending if each.told else "open" for each in records)
        said = ", ".join(f"{number} {ending}" for ending, number in counts.items())
        yield f"{counted(len(records), 'configuration')} so far: {said}"
        yield best_in_words(records, spec.directions, spec.acting)
    if found.num_found:
        others = counted(found.num_found, "other configuration")
        yield f"in the ledger, told first: {others} of its space"
    yield _to_run(found, num_trials)
    to_confirm = counted(found.num_to_confirm, "trial")
    if spec.confirm and not found.is_over:
        which = "the best" if spec.confirm.top == 1 else f"the best {spec.confirm.top}"
        yield f"then {which} on fresh seeds: at most {to_confirm}"
    elif found.num_to_confirm:
        yield f"to run on fresh seeds, to check the best: {to_confirm}"
    yield from _time(found)


def _to_run(found: SearchOutlook, num_trials: int | None) -> str:
    """Returns what is to run of the search itself, or why nothing is and what goes on with it."""
    if not found.is_over:
        is_open = "trial that is" if found.num_open == 1 else "trials that are"
        ahead = found.num_ahead
        more = "as many more as its hours allow" if ahead is None else f"up to {ahead} more"
        return f"to run: {found.num_open} {is_open} open, and {more}"
    if found.why_exhausted:
        return f"nothing to run: {found.why_exhausted}"
    fewer = asked_for_fewer(found.spec, num_trials, found.records)
    why = fewer or f"{found.why_spent} are spent"
    return f"nothing to run: {why}; {what_continues(found.spec, found.records)}"


def _time(found: SearchOutlook) -> Iterator[str]:
    """Yields what is left will take, and what that is from; or that nothing is known of it."""
    of = found.estimate
    if found.is_over and not found.num_to_confirm:
        return
    if of is None:
        yield "no estimate of the time: no trial of its baseline's shape has completed"
        return
    parts: list[str] = []
    if not found.is_over:
        whole = range_in_words(of.search_seconds)
        unless = " if nothing is pruned" if found.spec.pruning else ""
        parts.append(f"{whole}{unless} with {of.side_by_side} side by side")
    if found.num_to_confirm:
        parts.append(f"{range_in_words(of.confirm_seconds)} to check the best")
    yield f"time: {', then '.join(parts)}"
    yield from (f"estimate: {sentence}" for sentence in of.sources)


def _hours(found: SearchOutlook) -> str:
    budget, spent = found.spec.budget, found.spent
    parts: list[str] = []
    if budget.hours is not None:
        parts.append(f", {budget.hours:g} h ({spent.seconds / 3600:.3g} spent)")
    if budget.gpu_hours is not None:
        parts.append(f", {budget.gpu_hours:g} GPU-h ({spent.gpu_seconds / 3600:.3g} spent)")
    return "".join(parts)


def _as_json(found: SearchOutlook) -> dict[str, Any]:
    return {
        "search": found.spec.name,
        "budget": found.spec.definition()["search"]["budget"],
        "hours_spent": found.spent.seconds / 3600,
        "gpu_hours_spent": found.spent.gpu_seconds / 3600,
        "why_spent": found.why_spent,
        "why_exhausted": found.why_exhausted,
        "notes": list(found.spec.notes),
        "num_found": found.num_found,
        "num_open": found.num_open,
        "num_ahead": found.num_ahead,
        "num_to_confirm": found.num_to_confirm,
        "estimate": found.estimate
        and {
            "trial_seconds": range_as_json(found.estimate.trial_seconds),
            "search_seconds": range_as_json(found.estimate.search_seconds),
            "confirm_seconds": range_as_json(found.estimate.confirm_seconds),
            "side_by_side": found.estimate.side_by_side,
            "sources": list(found.estimate.sources),
        },
        "suggestions": [
            {
                "number": each.suggestion.number,
                "origin": each.suggestion.origin,
                "values": dict(each.suggestion.values),
                "trial_ids": list(each.trial_ids),
                "ending": each.told.ending if each.told else None,
                "objectives": list(each.told.values) if each.told else [],
                "reason": each.told.reason if each.told else "",
            }
            for each in found.records
        ],
    }
