"""`qdexp show`: one trial, whole."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer

from qdexp.cli.status_command import state_of
from qdexp.cli.tables import aligned
from qdexp.execution.trial_log import LOG_FILE, last_lines
from qdexp.results.folders import runs_folder, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Series
from qdexp.results.provenance import flat

SHOWN_LINES = 20
"""So many last lines of a log are shown where a trial did not complete."""


def show_trial(prefix: str, *, runs: Path | None) -> None:
    """Prints a trial's configuration, outcome, history, error and files.

    Raises:
        NotFoundError: The prefix does not name one trial.
    """
    with Ledger(runs_folder(runs)) as ledger:
        record = ledger.trial(prefix)
        experiments = ledger.experiments_of(record.trial_id)
        history = ledger.history(record.trial_id)
        folder = trial_folder(ledger.runs, record.trial_id)
    sections = (
        _heading(record, experiments, runs_folder(runs)),
        _measurements(record),
        _history(history),
        _error(record),
        _log(record, folder),
        _configuration(record),
        _provenance(record),
        _files(folder),
    )
    typer.echo("\n\n".join("\n".join(lines) for lines in map(list, sections) if lines))


def _heading(record: TrialRecord, experiments: list[str], runs: Path) -> Iterator[str]:
    yield f"trial {record.trial_id}, seed {record.trial.seed}, of {', '.join(experiments)}"
    steps = record.trial.configuration.num_steps
    done = f" after {record.outcome.step} of {steps} steps" if record.outcome else ""
    yield f"{state_of(record, runs)}{done}; {record.num_starts} attempt(s)"
    for label, moment in (("started", record.started_at), ("ended", record.finished_at)):
        if moment:
            yield f"{label} {datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
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


def _provenance(record: TrialRecord) -> Iterator[str]:
    facts = flat(record.outcome.provenance) if record.outcome else {}
    for shown_above in ("started_at", "finished_at"):
        facts.pop(shown_above, None)
    if facts:
        yield "provenance"
        yield aligned(
            ("  fact", "value"),
            [(f"  {name}", value) for name, value in facts.items()],
        )


def _files(folder: Path) -> Iterator[str]:
    if folder.exists():
        yield f"files in {folder}"
        for path in sorted(folder.iterdir()):
            yield f"  {path.name}  {path.stat().st_size:,} bytes"
