"""`qdexp show`: one trial, whole."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer

from qdexp.api.experiments import ShownTrial, show
from qdexp.cli.tables import aligned
from qdexp.results.ledger import TrialRecord
from qdexp.results.outcome import Series
from qdexp.results.provenance import flat


def show_trial(prefix: str, *, runs: Path | None) -> None:
    """Prints a trial's configuration, outcome, history, error and files.

    Raises:
        NotFoundError: The prefix does not name one trial.
    """
    found = show(prefix, runs=runs)
    record = found.record
    sections = (
        _heading(found),
        _measurements(record),
        _history(found.history),
        _error(record),
        _configuration(record),
        _provenance(record),
        _files(found.folder),
    )
    typer.echo("\n\n".join("\n".join(lines) for lines in map(list, sections) if lines))


def _heading(found: ShownTrial) -> Iterator[str]:
    record = found.record
    yield f"trial {record.trial_id}, seed {record.trial.seed}, of {', '.join(found.experiments)}"
    steps = record.trial.configuration.num_steps
    done = f" after {record.outcome.step} of {steps} steps" if record.outcome else ""
    yield f"{found.state}{done}; {record.num_starts} attempt(s)"
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
