"""`qdexp show`: one trial, whole."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer

from qdexp.api.known import ShownTrial, show
from qdexp.cli.plain_json import plain_json
from qdexp.cli.show_difference import number_text, relative_text
from qdexp.cli.shown_data import shown_as_data
from qdexp.cli.tables import aligned
from qdexp.execution.trial_log import LOG_FILE, last_lines
from qdexp.results.ledger import TrialRecord
from qdexp.results.outcome import Series
from qdexp.results.provenance import flat

SHOWN_LINES = 20
"""So many last lines of a log are shown where a trial did not complete."""


def show_trial(prefix: str, *, runs: Path | None, as_json: bool) -> None:
    """Prints a trial's configuration, outcome, history, error, provenance and files.

    Raises:
        NotFoundError: The prefix does not name one trial.
    """
    found = show(prefix, runs=runs)
    record = found.record
    if as_json:
        typer.echo(plain_json(shown_as_data(found)))
        return
    sections = (
        _heading(found),
        _others(found),
        _measurements(record),
        _history(found.history),
        _error(record),
        _log(record, found.folder),
        _configuration(record),
        _provenance(found),
        _files(found.folder),
    )
    typer.echo("\n\n".join("\n".join(lines) for lines in map(list, sections) if lines))


def show_changes(prefix: str, *, runs: Path | None) -> None:
    """Prints the changes that a trial's code had and its commit has not; nothing without any.

    Raises:
        NotFoundError: The prefix does not name one trial.
    """
    changes = show(prefix, runs=runs).changes
    if changes:
        typer.echo(changes, nl=False)
    else:
        typer.echo("no changes were recorded beside the commit", err=True)


def _heading(found: ShownTrial) -> Iterator[str]:
    record = found.record
    yield f"trial {record.trial_id}, seed {record.trial.seed}, of {', '.join(found.experiments)}"
    steps = record.trial.configuration.num_steps
    of_all = f" of {steps}" if steps else ""
    done = f" after {record.outcome.step}{of_all} steps" if record.outcome else ""
    yield f"{found.state}{done}; {record.num_starts} attempt(s)"
    if record.invalidated is not None:
        yield f"invalidated: {record.invalidated}; it counts nowhere, and the next run begins anew"
    yield from (
        f"files of an invalidated outcome ({because}): {found.folder.with_name(name)}"
        for name, because in found.set_aside
    )
    for label, moment in (("started", record.started_at), ("ended", record.finished_at)):
        if moment:
            yield f"{label} {_time(moment)}"
    yield from (f"warning: {text}" for text in (record.outcome.warnings if record.outcome else ()))


def _measurements(record: TrialRecord) -> Iterator[str]:
    if record.outcome and record.outcome.measurements:
        yield "measurements"
        rows = [(f"  {name}", f"{v:,.6g}") for name, v in record.outcome.measurements.items()]
        yield aligned(("  metric", "value"), rows)


def _history(history: dict[str, Series]) -> Iterator[str]:
    if history:
        yield "history"
        rows = [
            (f"  {name}", len(s.steps), f"{s.values[0]:.6g}", f"{s.values[-1]:.6g}", s.steps[-1])
            for name, s in history.items()
            if s.steps
        ]
        yield aligned(("  metric", "points", "first", "last", "at step"), rows)


def _error(record: TrialRecord) -> Iterator[str]:
    failure = record.outcome and record.outcome.failure
    if failure:
        kind = f" ({failure.kind})" if failure.kind else ""
        yield f"reason{kind}: {failure.reason}"
        if failure.traceback:
            yield failure.traceback.rstrip()


def _log(record: TrialRecord, folder: Path) -> Iterator[str]:
    """Names the log; of a trial that did not complete it yields the end as well."""
    if (folder / LOG_FILE).exists():
        yield f"log of all attempts: {folder / LOG_FILE}"
        if record.outcome and record.outcome.status != "completed":
            yield from (f"  {line}" for line in last_lines(folder, SHOWN_LINES))


def _configuration(record: TrialRecord) -> Iterator[str]:
    yield "configuration"
    rows = [(f"  {name}", value) for name, value in record.trial.configuration.fields().items()]
    rows.append(("  trainable", record.trial.trainable))
    rows.append(("  data", record.trial.data_fingerprint))
    yield aligned(("  field", "value"), rows)


def _others(found: ShownTrial) -> Iterator[str]:
    """Says which results of other machines are not ours."""
    for each in found.others:
        yield f"another result ({each.outcome.status}) was imported from {each.origin}; ours counts"
        rows = [
            (f"  {n.name}", number_text(n.one), number_text(n.other), relative_text(n))
            for n in each.numbers
        ]
        yield aligned(("  metric", "here", "there", "difference"), rows)


def _provenance(found: ShownTrial) -> Iterator[str]:
    outcome = found.record.outcome
    facts = dict(outcome.provenance) if outcome else {}
    for shown_above in ("started_at", "finished_at"):
        facts.pop(shown_above, None)
    if found.changes is not None:
        facts["diff"] = f"{_size(found.changes)} ({str(facts['diff'])[:16]})"
    if found.spec is not None:
        facts["spec"] = f"{found.spec.file} as it was {_time(found.spec.recorded_at)}"
    if facts:
        yield "provenance"
        rows = [(f"  {name}", value) for name, value in flat(facts).items()]
        yield aligned(("  fact", "value"), rows)


def _size(changes: str) -> str:
    """Returns how large changes are: ``2 files, +10 -3 lines``."""
    lines = changes.splitlines()
    files = sum(line.startswith("diff --git ") for line in lines)
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in lines)
    gone = sum(line.startswith("-") and not line.startswith("--- ") for line in lines)
    return f"{files} {'file' if files == 1 else 'files'}, +{added} -{gone} lines"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _files(folder: Path) -> Iterator[str]:
    if folder.exists():
        yield f"files in {folder}"
        for path in sorted(folder.iterdir()):
            yield f"  {path.name}  {path.stat().st_size:,} bytes"
