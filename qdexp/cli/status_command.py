"""`qdexp status`: how far experiments are."""

from collections import Counter
from pathlib import Path
from typing import Any

import typer

from qdexp.cli.tables import aligned
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.trial import condition_label
from qdexp.results.folders import latest_step, runs_folder, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.recorder import is_in_use

REASON_WIDTH = 100


def show_status(name: str | None, *, runs: Path | None, as_json: bool) -> None:
    """Prints the trials of one experiment, or the counts of all.

    Raises:
        NotFoundError: There is no such experiment.
    """
    with Ledger(runs_folder(runs)) as ledger:
        names = [name] if name else ledger.experiments()
        if name:
            ledger.specs(name)
        members = {each: [m for m in ledger.members(each) if m.is_asked_for] for each in names}
        if as_json:
            typer.echo(canonical_json({"experiments": [
                _as_json(each, records, ledger.runs) for each, records in members.items()
            ]}))  # fmt: skip
            return
        if not names:
            typer.echo(f"no experiments in {ledger.runs}; `qdexp run SPEC` makes one")
        for each, records in members.items():
            typer.echo(f"{each}: {len(records)} trials: {_counts_in_words(records, ledger.runs)}")
        if name:
            rows = [_row(record, ledger.runs) for record in members[name]]
            header = ("trial", "outcome", "condition", "seed", "step", "reason")
            typer.echo("\n" + aligned(header, rows))


def state_of(record: TrialRecord, runs: Path) -> str:
    """Returns the outcome's status; without one `waiting`, `running` or `interrupted`."""
    if record.outcome:
        return record.outcome.status
    if not record.num_starts:
        return "waiting"
    return "running" if is_in_use(runs) else "interrupted"


def _counts_in_words(records: list[TrialRecord], runs: Path) -> str:
    counts = Counter(state_of(record, runs) for record in records)
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "none"


def _row(record: TrialRecord, runs: Path) -> tuple[object, ...]:
    failure = record.outcome and record.outcome.failure
    return (
        record.trial_id[:8],
        state_of(record, runs),
        condition_label(record.condition),
        record.trial.seed,
        f"{_step(record, runs)}/{record.trial.configuration.num_steps}",
        one_line(failure.reason) if failure else "",
    )


def one_line(reason: str) -> str:
    """Returns a reason as a table shows it: one line, cut after `REASON_WIDTH` characters."""
    line = " ".join(reason.split())
    return line if len(line) <= REASON_WIDTH else f"{line[: REASON_WIDTH - 1]}…"


def _step(record: TrialRecord, runs: Path) -> int:
    """Returns the steps that are safe: of the outcome, or of the newest checkpoint."""
    if record.outcome:
        return record.outcome.step
    return latest_step(trial_folder(runs, record.trial_id)) or 0


def _as_json(name: str, records: list[TrialRecord], runs: Path) -> dict[str, Any]:
    return {
        "name": name,
        "counts": dict(Counter(state_of(record, runs) for record in records)),
        "trials": [
            {
                "trial_id": record.trial_id,
                "state": state_of(record, runs),
                "condition": dict(record.condition),
                "seed": record.trial.seed,
                "step": _step(record, runs),
                "num_steps": record.trial.configuration.num_steps,
                "reason": record.outcome.failure.reason
                if record.outcome and record.outcome.failure
                else None,
            }
            for record in records
        ],
    }
