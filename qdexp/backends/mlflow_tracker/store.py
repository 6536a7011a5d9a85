# pyright: basic
"""One MLflow store: an experiment, its parent run, and exactly one run nested in it per trial.

Every write can be repeated: runs are found again by their tags, and a measurement's timestamp is
made of its trial's first start and its step, so that MLflow drops what it already has.
"""

import json
import math
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from sqlalchemy.exc import SQLAlchemyError

from qdexp.backends.mlflow_tracker.leftovers import remove_half_copied
from qdexp.backends.mlflow_tracker.location import database_address, database_file
from qdexp.errors import RequestError
from qdexp.experiment.trial import Condition, Trial, condition_label
from qdexp.results.outcome import Outcome, Progress, Series, Status

PROBLEMS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, RequestError)
"""What can go wrong here without being a defect of qdexp."""

_METRICS_PER_BATCH = 1000  # MLflow refuses more
_TAG_CHARACTERS = 5000  # MLflow cuts a tag at 8000
_NAME_CHARACTERS = 250  # MLflow refuses a metric's longer name

_TRIAL_ID = "qdexp.trial_id"
_EXPERIMENTS = "qdexp.experiments"
_ROLE = "qdexp.role"
_MLFLOW_STATUS: dict[Status, str] = {
    "completed": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "pruned": "KILLED",
    "cancelled": "KILLED",
}


class MlflowStore:
    """Writes to ``mlflow.db`` and ``mlartifacts/`` under the runs folder; one thread, one process.

    Args:
        runs: The runs folder, absolute.
        flush_seconds: How long measurements of running trials are gathered.
    """

    def __init__(self, runs: Path, *, flush_seconds: float) -> None:
        database = database_file(runs)
        address = database_address(database)
        self._artifacts = runs / "mlartifacts"
        if not database.exists():
            _create(database, self._artifacts)
        _probe(database)
        self._client = MlflowClient(tracking_uri=address)
        self._experiment_id = ""
        self._parent_id = ""
        self._running: dict[str, Run] = {}
        self._pending: dict[str, list[Metric]] = {}
        self._flush_seconds = flush_seconds
        self._flush_due = 0.0

    def open_experiment(self, name: str, description: str) -> None:
        """Begins or continues the MLflow experiment `name` and the parent run in it."""
        known = self._client.get_experiment_by_name(name)
        self._experiment_id = (
            known.experiment_id
            if known
            else self._client.create_experiment(name, (self._artifacts / name).as_uri())
        )
        self._client.set_experiment_tag(self._experiment_id, MLFLOW_RUN_NOTE, description)
        parent = self._find([self._experiment_id], _ROLE, "experiment")
        if parent is None:
            tags = {_ROLE: "experiment", MLFLOW_RUN_NOTE: description}
            parent = self._client.create_run(self._experiment_id, tags=tags, run_name=name)
        self._parent_id = parent.info.run_id
        self._client.update_run(self._parent_id, status="RUNNING")

    def start_trial(
        self, trial: Trial, condition: Condition, tags: Mapping[str, str], started_at: float
    ) -> None:
        """Begins or continues the run of a trial, whichever experiment it was first made for."""
        run = self._find_trial(trial.trial_id) or self._create_run(trial, condition, started_at)
        self._running[trial.trial_id] = run
        remove_half_copied(run)
        if "seed" not in run.data.params:  # else a driver was killed between making and describing
            self._describe(run, trial)
        experiment = self._client.get_experiment(self._experiment_id).name
        experiments = dict.fromkeys([*_split(run.data.tags.get(_EXPERIMENTS, "")), experiment])
        self._client.log_batch(
            run.info.run_id,
            params=[Param(field, str(value)) for field, value in condition.items()],
            tags=_tags({**tags, _EXPERIMENTS: ", ".join(experiments)}),
        )
        self._client.update_run(run.info.run_id, status="RUNNING")

    def log(self, trial_id: str, progress: Progress) -> None:
        """Takes the measurements of a running trial; writes them once enough time has passed."""
        run = self._run(trial_id)
        self._pending.setdefault(run.info.run_id, []).extend(
            _metric(run, name, progress.step, value)
            for name, value in progress.measurements.items()
            if math.isfinite(value)
        )
        if time.monotonic() >= self._flush_due:
            self.flush()

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Writes an outcome with its complete history, and files as artifacts."""
        self.flush()
        run = self._run(outcome.trial_id)
        run_id = run.info.run_id
        self._log_metrics(run_id, list(_metrics(run, outcome)))
        self._client.log_batch(run_id, tags=_tags(_outcome_tags(outcome)))
        if outcome.failure and outcome.failure.traceback:
            self._client.log_text(run_id, outcome.failure.traceback, "traceback.txt")
        for file in files:
            self._client.log_artifact(run_id, str(file))
        finished_at = outcome.provenance.get("finished_at", time.time())
        self._client.set_terminated(
            run_id, _MLFLOW_STATUS[outcome.status], end_time=_milliseconds(finished_at)
        )
        del self._running[outcome.trial_id]

    def flush(self) -> None:
        """Writes the measurements gathered so far."""
        self._flush_due = time.monotonic() + self._flush_seconds
        pending, self._pending = self._pending, {}
        for run_id, metrics in pending.items():
            self._log_metrics(run_id, metrics)

    def close(self) -> None:
        """Writes what is left; trials without an outcome were interrupted, and count as killed."""
        self.flush()
        for run in self._running.values():
            self._client.set_terminated(run.info.run_id, "KILLED")
        if self._parent_id:
            self._client.set_terminated(self._parent_id, "FINISHED")

    def _create_run(self, trial: Trial, condition: Condition, started_at: float) -> Run:
        return self._client.create_run(
            self._experiment_id,
            start_time=_milliseconds(started_at),
            run_name=f"{condition_label(condition)}, seed {trial.seed}",
            tags={
                _TRIAL_ID: trial.trial_id,
                _ROLE: "trial",
                MLFLOW_PARENT_RUN_ID: self._parent_id,
            },
        )

    def _describe(self, run: Run, trial: Trial) -> None:
        configuration = json.dumps(trial.configuration.model_dump(mode="json"), indent=2)
        self._client.log_text(run.info.run_id, configuration, "configuration.json")
        self._client.log_param(run.info.run_id, "seed", trial.seed)

    def _run(self, trial_id: str) -> Run:
        run = self._running.get(trial_id) or self._find_trial(trial_id)
        if run is None:
            raise MlflowException(f"trial {trial_id} could not be begun, so it is not mirrored")
        self._running[trial_id] = run
        return run

    def _find_trial(self, trial_id: str) -> Run | None:
        everywhere = [each.experiment_id for each in self._client.search_experiments()]
        return self._find(everywhere, _TRIAL_ID, trial_id)

    def _find(self, experiment_ids: list[str], tag: str, value: str) -> Run | None:
        found = self._client.search_runs(experiment_ids, f"tags.`{tag}` = '{value}'", max_results=1)
        return found[0] if found else None

    def _log_metrics(self, run_id: str, metrics: list[Metric]) -> None:
        for start in range(0, len(metrics), _METRICS_PER_BATCH):
            self._client.log_batch(run_id, metrics[start : start + _METRICS_PER_BATCH])


def _create(database: Path, artifacts: Path) -> None:
    """Makes an empty store; one that is killed while it migrates would be broken for ever."""
    for leftover in database.parent.glob("mlflow.db.new*"):
        leftover.unlink()
    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_name("mlflow.db.new")
    _probe(unfinished)
    SqlAlchemyStore(database_address(unfinished), artifacts.as_uri()).engine.dispose()
    unfinished.rename(database)


def _probe(database: Path) -> None:
    """Opens a database once; MLflow would try for minutes.

    Raises:
        sqlite3.Error: It is none, or cannot be opened.
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")


def _metrics(run: Run, outcome: Outcome) -> Iterator[Metric]:
    """Yields the history, then the final measurements: at the last step in its stead."""
    for name, series in outcome.history.items():
        final = outcome.measurements.get(name)
        for step, value in zip(series.steps, series.values, strict=True):
            is_replaced = step == outcome.step and final not in (None, value)
            if math.isfinite(value) and not is_replaced:
                yield _metric(run, name, step, value)
    for name, value in outcome.measurements.items():
        series = outcome.history.get(name, Series(steps=(), values=()))
        is_known = (outcome.step, value) in zip(series.steps, series.values, strict=True)
        if math.isfinite(value) and not is_known:
            yield _metric(run, name, outcome.step, value, later=1)


def _metric(run: Run, name: str, step: int, value: float, *, later: int = 0) -> Metric:
    # MLflow keeps one row per (name, timestamp, step, value), so a timestamp that a replay repeats
    # drops the replay; and of several values at the last step it shows the one `later`.
    timestamp = run.info.start_time + step + later
    return Metric(_metric_name(name), value, timestamp=timestamp, step=step)


def _metric_name(name: str) -> str:
    """Returns a name that MLflow takes: it refuses some characters, relative paths, and length."""
    return re.sub(r"^\W|[^\w.: -]", "_", name)[:_NAME_CHARACTERS] or "_"


def _outcome_tags(outcome: Outcome) -> dict[str, str]:
    tags = {"qdexp.outcome": outcome.status, "qdexp.warnings": "; ".join(outcome.warnings)}
    if outcome.failure:
        tags["qdexp.reason"] = outcome.failure.reason
        tags["qdexp.failure_kind"] = outcome.failure.kind or ""
    return {name: value for name, value in tags.items() if value}


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value[:_TAG_CHARACTERS]) for name, value in tags.items()]


def _split(names: str) -> list[str]:
    return names.split(", ") if names else []


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
