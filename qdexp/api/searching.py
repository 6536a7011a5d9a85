"""Searches from Python: what `qdexp search` does, as a function that returns data."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.api.composition import (
    NOBODY,
    Audience,
    Report,
    RunOptions,
    nobody,
    refreshed,
    run_options,
    tracker_of,
    workshop,
)
from qdexp.api.request import Request, SpecSource
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import is_search, suggestions_of

if TYPE_CHECKING:
    from qdexp.api.composition import Workshop
    from qdexp.api.confirming import Confirmed
    from qdexp.backends.place import ExecutorName, Place
    from qdexp.execution.ports import Checked, Reported
    from qdexp.execution.search import Searched
    from qdexp.experiment.search_spec import SearchSpec
    from qdexp.results.suggestions import SuggestionRecord

STUDIES = "optuna.sqlite"
"""The runs folder's own database of studies."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What `search` did.

    Args:
        search: The search's name.
        num_run: Outcomes that this call recorded, those of the confirmation not counted.
        num_incomplete: Suggestions that failed, or have not ended.
        notes: What could not be mirrored or drawn, in words.
        report: Where the report is and what it says, or None if none was asked for.
        why_ended: What ended it, in words, or what stopped it.
        suggestions: All that it suggested so far, in order.
        confirmed: The check of its best on fresh seeds, or None if none was asked for or possible.
    """

    search: str
    num_run: int
    num_incomplete: int
    notes: tuple[str, ...]
    report: "Reported | None"
    why_ended: str
    suggestions: "tuple[SuggestionRecord, ...]"
    confirmed: "Confirmed | None"


def search(
    spec: SpecSource,
    *,
    set: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    executor: "ExecutorName" = "ray",
    place: "Place | None" = None,
    runs: Path | str | None = None,
    report: bool = True,
    tracking: bool | str = True,
    study_storage: str | None = None,
    keep_going: bool = False,
) -> SearchResult:
    """Searches until the budget is spent, confirms the best if the spec says so, and reports.

    Args:
        spec: The path of a YAML file, or its content as a dict.
        set: Fields to set in the baseline, over the spec's `set`.
        seeds: Number of seeds of each configuration instead of the spec's.
        trials: The budget in trials instead of the spec's; a larger one continues the search.
        executor: `ray`: in parallel; `inline`: in this process.
        place: Where trials go, a running cluster for instance; over `executor`.
        runs: The runs folder; ``$QDEXP_RUNS`` or ``runs`` unless given.
        report: Whether to write the report.
        tracking: Whether MLflow mirrors it, or the URI where; a later run that does catches up.
        study_storage: URL of Optuna's study; ``optuna.sqlite`` in the runs folder unless given.
        keep_going: Whether to go on where the first three trials fail with the same error.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        LedgerError: The ledger cannot be written.
    """
    request = Request(spec=spec, fields=set or {}, num_seeds=seeds, runs=runs, num_trials=trials)
    options = run_options(executor, place, tracking, keep_going=keep_going)
    return _searched(request, options, study_storage, with_report=report)


def _searched(
    request: Request, options: RunOptions, study_storage: str | None, *, with_report: bool
) -> SearchResult:
    asked, folder = request.read_search(), request.runs_folder
    done, confirmed = carry_out_search(
        asked, folder, options, study_storage=study_storage, with_report=with_report
    )
    with Ledger(folder) as ledger:
        suggestions = tuple(suggestions_of(ledger, asked.name))
    return SearchResult(
        search=asked.name,
        num_run=done.num_run,
        num_incomplete=done.num_incomplete,
        notes=done.notes,
        report=done.reported,
        why_ended=done.stopped or done.why_ended,
        suggestions=suggestions,
        confirmed=confirmed,
    )


def carry_out_search(
    asked: "SearchSpec",
    runs: Path,
    options: RunOptions,
    *,
    study_storage: str | None = None,
    with_report: bool = True,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> "tuple[Searched, Confirmed | None]":
    """Searches, and confirms what was found if the spec asks for that; then reports again.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        LedgerError: The ledger cannot be written.
    """
    from qdexp.api.confirming import confirm

    studies = studies_url(runs, study_storage)
    report = partial(refreshed, asked.name, runs) if with_report else None
    with workshop(
        asked.spec, runs, options, listening=listening, interrupting=interrupting
    ) as shop:
        done = _search(asked, shop, report, studies, options)
    if asked.confirm is None or done.stopped:
        return done, None
    confirmed = confirm(
        asked,
        runs,
        options,
        with_report=with_report,
        listening=listening,
        interrupting=interrupting,
    )
    if report and confirmed:
        with listening() as audience:
            again = report(audience.display)
        done = _reported_again(done, again, asked.name, runs, options)
    return done, confirmed


def _reported_again(
    done: "Searched", reported: "Reported", name: str, runs: Path, options: RunOptions
) -> "Searched":
    """Returns what a search did with a later report, which is mirrored if it says something new."""
    if done.reported and reported.summary != done.reported.summary:
        from qdexp.execution.mirroring import entry_of

        with Ledger(runs) as ledger:
            entry = entry_of(ledger.specs(name)[-1])
        tracker = tracker_of(runs, options.tracking_uri, NOBODY.say)
        tracker.open_experiment(entry)
        tracker.end_experiment(reported)
        done = replace(done, notes=(*done.notes, *tracker.close()))
    return replace(done, reported=reported)


def _search(
    asked: "SearchSpec",
    shop: "Workshop",
    report: Report | None,
    studies: str,
    options: RunOptions,
) -> "Searched":
    from qdexp.backends.optuna_suggester import OptunaStudyMirror, suggester_for
    from qdexp.execution.search import Tools, search

    tools = Tools(
        executor=shop.executor,
        suggester=suggester_for(asked),
        mirror=OptunaStudyMirror(studies, asked.definition()),
        keep_going=options.keep_going,
    )
    return search(asked, shop.runs, shop.outside(report), tools)


def check_studies(runs: Path, study_storage: str | None) -> "Checked":
    """Makes the database of studies show what the ledger knows of every search.

    Raises:
        RequestError: Its URL is none, or its driver is not installed.
    """
    from qdexp.execution.ports import Checked

    found = Checked()
    with Ledger(runs) as ledger:
        searches = [name for name in ledger.experiments() if is_search(ledger, name)]
        if not searches:
            return found
        from qdexp.backends.optuna_suggester import OptunaStudyMirror

        studies = studies_url(runs, study_storage)
        for name in searches:
            mirror = OptunaStudyMirror(studies, ledger.specs(name)[-1].definition)
            found += mirror.show(suggestions_of(ledger, name))
    return found


def studies_url(runs: Path, study_storage: str | None) -> str:
    """Returns the URL of the database of studies.

    Args:
        runs: The runs folder.
        study_storage: Another database than the runs folder's own, or None.

    Raises:
        RequestError: It is none, or its driver is not installed.
    """
    from qdexp.backends.optuna_suggester import study_url, url_of_file

    return url_of_file(runs / STUDIES) if study_storage is None else study_url(study_storage)
