"""`qdexp status`: how far experiments are."""

from collections import Counter
from pathlib import Path
from typing import Any

import typer

from qdexp.api.known import ExperimentStatus, TrialStatus, status
from qdexp.cli.tables import aligned
from qdexp.errors import RequestError
from qdexp.experiment.counting import counted
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.trial import condition_label
from qdexp.results.folders import runs_folder

REASON_WIDTH = 100


def show_status(name: str | None, *, runs: Path | None, as_json: bool) -> None:
    """Prints the trials of one experiment, or the counts of all.

    Raises:
        NotFoundError: There is no such experiment.
    """
    found = status(name, runs=runs)
    if as_json:
        typer.echo(canonical_json({"experiments": [_as_json(each) for each in found]}))
        return
    if not found:
        typer.echo(f"no experiments in {runs_folder(runs)}; `qdexp run SPEC` makes one")
    for each in found:
        typer.echo(
            f"{each.name}: {counted(len(each.trials), 'trial')}: {_counts_in_words(each)}"
            f"{_looks(each)}" + (f"; {each.best}" if each.best else "")
        )
    if name:
        header = ("trial", "outcome", "condition", "seed", "step", "reason")
        rows = [_row(trial) for each in found for trial in each.trials]
        typer.echo("\n" + aligned(header, rows))


def watch_status(name: str | None, *, runs: Path | None, as_json: bool) -> None:
    """Shows an experiment until its driver ends, or Ctrl-C.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: JSON was asked for, or several experiments are there and none was named.
    """
    if as_json:
        raise RequestError("expected --json or --watch, found both: one of them ends at once")
    from qdexp.cli.watching import watch

    watch(name, runs_folder(runs))


def _counts_in_words(experiment: ExperimentStatus) -> str:
    counts = Counter(trial.state for trial in experiment.trials)
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "none"


def _looks(experiment: ExperimentStatus) -> str:
    """Returns up to which look trials are asked for, where seeds are added until decided."""
    if not experiment.looks:
        return ""
    schedule = ", ".join(map(str, experiment.looks))
    return f"; up to the look at {experiment.num_seeds} seeds (of {schedule})"


def _row(trial: TrialStatus) -> tuple[object, ...]:
    record = trial.record
    failure = record.outcome and record.outcome.failure
    return (
        record.trial_id[:8],
        trial.state,
        condition_label(record.condition),
        record.trial.seed,
        steps_text(trial.step, record.trial.configuration.num_steps),
        one_line(failure.reason) if failure else "",
    )


def steps_text(step: int, num_steps: int) -> str:
    """Returns ``12/50``, or ``12`` where it is not known how many there are."""
    return f"{step}/{num_steps}" if num_steps else str(step)


def one_line(reason: str) -> str:
    """Returns a reason as a table shows it: one line, cut after `REASON_WIDTH` characters."""
    line = " ".join(reason.split())
    return line if len(line) <= REASON_WIDTH else f"{line[: REASON_WIDTH - 1]}…"


def _as_json(experiment: ExperimentStatus) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "counts": dict(Counter(trial.state for trial in experiment.trials)),
        "looks": {"schedule": list(experiment.looks), "num_seeds": experiment.num_seeds}
        if experiment.looks
        else None,
        "best": experiment.best or None,
        "trials": [_trial_as_json(trial) for trial in experiment.trials],
    }


def _trial_as_json(trial: TrialStatus) -> dict[str, Any]:
    record = trial.record
    failure = record.outcome and record.outcome.failure
    return {
        "trial_id": record.trial_id,
        "state": trial.state,
        "condition": dict(record.condition),
        "seed": record.trial.seed,
        "step": trial.step,
        "num_steps": record.trial.configuration.num_steps or None,
        "reason": failure.reason if failure else None,
    }
