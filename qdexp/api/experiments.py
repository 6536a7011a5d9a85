"""Experiments from Python: what the commands of these names do, as functions that return data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qdexp.api.composition import (
    RunOptions,
    carry_out,
    plan_request,
    refreshed,
    run_options,
)
from qdexp.api.importance import importance
from qdexp.api.request import Request, SpecSource
from qdexp.results.folders import runs_folder

if TYPE_CHECKING:
    from qdexp_analysis import ReportFiles

    from qdexp.backends.place import ExecutorName, Place
    from qdexp.execution.ports import Reported
    from qdexp.experiment.plan import Plan


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What `run` did.

    Args:
        experiment: The experiment's name.
        num_run: Outcomes that this call recorded.
        num_incomplete: Trials of the experiment whose outcome is not `completed`.
        notes: What could not be mirrored or drawn, in words.
        report: Where the report is and what it says, or None if none was asked for.
    """

    experiment: str
    num_run: int
    num_incomplete: int
    notes: tuple[str, ...]
    report: "Reported | None"

    def _repr_html_(self) -> str:
        """Shows what ran, what the report says, and where its page is, in a notebook."""
        from html import escape

        from qdexp_analysis.written import said_html

        counts = (
            f"{self.experiment}: {self.num_run} outcomes recorded, {self.num_incomplete} trials"
        )
        lines = (f"{counts} not completed.", *self.notes)
        if self.report is None:
            return "".join(f"<p>{escape(line)}</p>" for line in lines)
        return said_html((*lines, *self.report.summary), self.report.page)


def run(
    spec: SpecSource,
    *,
    set: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    executor: "ExecutorName" = "ray",
    place: "Place | None" = None,
    runs: Path | str | None = None,
    max_trials: int | None = None,
    report: bool = True,
    tracking: bool | str = True,
    keep_going: bool = False,
) -> RunResult:
    """Runs what is missing of an experiment, and reports; what is finished is never run again.

    Args:
        spec: The path of a YAML file, or its content as a dict.
        set: Fields to set for all conditions, over the spec's `set`.
        seeds: Number of seeds instead of the spec's.
        executor: `ray`: in parallel; `inline`: in this process.
        place: Where trials go, a running cluster for instance; over `executor`.
        runs: The runs folder; ``$QDEXP_RUNS`` or ``runs`` unless given.
        max_trials: Refuse a spec that asks for more; 1,000 unless given.
        report: Whether to write the report.
        tracking: Whether MLflow mirrors it, or the URI where; a later run that does catches up.
        keep_going: Whether to go on where the first three trials fail with the same error.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        LedgerError: The ledger cannot be written.
    """
    request = _request(spec, set, seeds, runs, max_trials)
    options = run_options(executor, place, tracking, keep_going=keep_going)
    return _ran(request, options, with_report=report)


def _ran(request: Request, options: RunOptions, *, with_report: bool) -> RunResult:
    asked, folder = request.read_spec(), request.runs_folder
    report = partial(refreshed, asked.name, folder) if with_report else None
    done = carry_out(asked, folder, options, report=report)
    return RunResult(
        experiment=asked.name,
        num_run=done.num_run,
        num_incomplete=done.num_incomplete,
        notes=done.notes,
        report=done.reported,
    )


def plan(
    spec: SpecSource,
    *,
    set: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    runs: Path | str | None = None,
    max_trials: int | None = None,
) -> "Plan":
    """Returns what `run` would do with every trial, and why; touches nothing.

    Raises:
        RequestError: The request was wrong.
        LedgerError: The ledger cannot be read.
    """
    return plan_request(_request(spec, set, seeds, runs, max_trials))


def report(
    name: str,
    *,
    runs: Path | str | None = None,
    out_folder: Path | str | None = None,
    lang: Literal["en", "zh"] = "en",
) -> "ReportFiles":
    """Writes an experiment's report from the ledger, finished or not.

    Args:
        name: The experiment.
        runs: The runs folder.
        out_folder: Where to; ``reports/NAME`` under the runs folder unless given, of another
            language than English ``reports/NAME/LANG``.
        lang: The language: English, or simplified Chinese.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: The folder cannot be written, or no font has the letters of the language.
    """
    from qdexp_analysis import write_report

    folder = runs_folder(runs)
    out = None if out_folder is None else Path(out_folder)
    return write_report(name, folder, out, lang=lang, importance=importance)


def _request(
    spec: SpecSource,
    fields: Mapping[str, Any] | None,
    seeds: int | None,
    runs: Path | str | None,
    max_trials: int | None,
) -> Request:
    return Request(
        spec=spec,
        fields=fields or {},
        num_seeds=seeds,
        runs=runs,
        max_trials=max_trials,
    )
