"""What must be true of a runs folder at last, whatever happened before."""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdexp.config.metrics import metric
from qdexp.errors import RequestError
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome, Series


@dataclass(frozen=True)
class Results:
    """What must not depend on kills: what every trial ended in, timings excepted, and the files.

    Args:
        outcomes: By trial id: status, step, and every number of it.
        mirrored: By trial id: MLflow's status, points and parameters.
        files: How many files of a name are under the runs folder; MLflow's ids left out.
    """

    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    mirrored: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: Counter[str] = field(default_factory=Counter)


def results(runs: Path, experiment: str = "sizes") -> Results:
    """Reads a runs folder as it was left.

    Raises:
        AssertionError: Something is there twice, or a trial has no outcome.
    """
    with Ledger(runs) as ledger:
        members = [member for member in ledger.members(experiment) if member.is_asked_for]
        assert all(member.outcome for member in members), "a trial without an outcome"
        outcomes = {
            member.trial_id: _numbers(member.outcome, ledger)
            for member in members
            if member.outcome
        }
    return Results(outcomes=outcomes, mirrored=_mirrored(runs), files=_files(runs))


def final_outcomes(runs: Path) -> Counter[str]:
    """Returns how many final outcomes each trial has: one, whatever happened."""
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as connection:
        query = "SELECT trial_id FROM outcomes WHERE status IN ('completed', 'diverged')"
        return Counter(trial_id for (trial_id,) in connection.execute(query))


def is_timing(name: str) -> bool:
    """Tells whether a metric is another number each time."""
    if name.startswith("cost."):
        return True
    try:
        return metric(name).is_timing
    except RequestError:
        return False


def _numbers(outcome: Outcome, ledger: Ledger) -> dict[str, Any]:
    history: dict[str, Series] = ledger.history(outcome.trial_id)
    return {
        "status": outcome.status,
        "step": outcome.step,
        "reason": outcome.failure and outcome.failure.reason,
        "measurements": _untimed(outcome.measurements),
        "history": _untimed(history),
        "timed": sorted(name for name in history if is_timing(name)),
        "arrays": ledger.arrays(outcome.trial_id),
    }


def _untimed(by_metric: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in by_metric.items() if not is_timing(name)}


def _mirrored(runs: Path) -> dict[str, dict[str, Any]]:
    """Reads MLflow's tables: one run for each trial, each metric once at each step."""
    mirrored: dict[str, dict[str, Any]] = {}
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection:
        nested = connection.execute(
            "SELECT t.value, r.run_uuid, r.status FROM runs r JOIN tags t"
            " ON t.run_uuid = r.run_uuid WHERE t.key = 'qdexp.trial_id'"
        ).fetchall()
        for trial_id, run, status in nested:
            assert trial_id not in mirrored, f"two MLflow runs of trial {trial_id}"
            points = connection.execute(
                "SELECT key, step, value FROM metrics WHERE run_uuid = ?", (run,)
            ).fetchall()
            twice = [point for point, n in Counter(p[:2] for p in points).items() if n > 1]
            assert not twice, f"MLflow has more than once: {twice}"
            parameters = connection.execute(
                "SELECT key, value FROM params WHERE run_uuid = ?", (run,)
            ).fetchall()
            mirrored[trial_id] = {
                "status": status,
                "points": {point for point in points if not is_timing(point[0])},
                "timed": {point[:2] for point in points if is_timing(point[0])},
                "parameters": dict(parameters),
            }
        others = connection.execute(
            "SELECT count(*), max(status) FROM runs WHERE run_uuid NOT IN"
            " (SELECT run_uuid FROM tags WHERE key = 'qdexp.trial_id')"
        ).fetchone()
        assert others == (1, "FINISHED"), f"expected one finished parent run, found {others}"
    return mirrored


def _files(runs: Path) -> Counter[str]:
    """Counts files by name, but for those that an interruption or a failure decides.

    That is how many checkpoints lie before the last, and the traceback of an attempt that failed
    before another one completed, which MLflow keeps.
    """
    names = (str(path.relative_to(runs)) for path in runs.rglob("*") if not path.is_dir())
    plain = (re.sub(r"\b[0-9a-f]{32}\b", "RUN", name) for name in names)
    free = r".*/checkpoint_step_\d+\.pt|mlartifacts/.*/traceback\.txt"
    return Counter(name for name in plain if not re.fullmatch(free, name))
