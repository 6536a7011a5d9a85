# pyright: basic
"""One MLflow store: an experiment, its parent run, and exactly one run nested in it per trial.

Every write can be repeated: runs are found again by their tags, and a step that MLflow has is not
written again. The one who calls repeats whatever failed.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from qdexp.backends.mlflow_tracker import entries
from qdexp.backends.mlflow_tracker.leftovers import remove_half_copied
from qdexp.backends.mlflow_tracker.location import Location
from qdexp.backends.mlflow_tracker.points import (
    Point,
    contradictions,
    points_of_outcome,
    points_of_progress,
)
from qdexp.backends.mlflow_tracker.runs import RunBook
from qdexp.errors import RequestError
from qdexp.execution.ports import Begun, Entry, Reported
from qdexp.results.outcome import Outcome, Progress

PROBLEMS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, RequestError)
"""What can go wrong here without being a defect of qdexp."""

SPEC_FILE = "spec.yaml"
_METRICS_PER_BATCH = 1000  # MLflow refuses more


class MlflowStore:
    """Writes to MLflow, wherever it tracks; one thread, one process.

    Args:
        location: Where MLflow tracks.
        flush_seconds: How long measurements of running trials are gathered.
    """

    def __init__(self, location: Location, *, flush_seconds: float) -> None:
        address = location.address
        if location.database is not None:
            _prepare(location.database)
        self.client = MlflowClient(tracking_uri=address)
        self.book = RunBook(self.client, location)
        self.experiment_id = ""
        self._entry: Entry | None = None
        self._parent_id = ""
        self._begun: dict[str, Begun] = {}
        self._runs: dict[str, Run] = {}
        self._running: set[str] = set()
        self._shown: dict[str, dict[Point, set[float]]] = {}
        self._pending: dict[str, dict[Point, float]] = {}
        self._flush_seconds = flush_seconds
        self._flush_due = 0.0

    def open_experiment(self, entry: Entry) -> None:
        """Begins or continues an experiment and the parent run in it."""
        parent = self.enter_experiment(entry)
        self.client.update_run(parent.info.run_id, status="RUNNING")

    def enter_experiment(self, entry: Entry) -> Run:
        """Finds or makes an experiment and its parent run, with its spec; returns the run."""
        self._entry = entry  # first: what comes later enters it, should this fail
        tags = entries.experiment_tags(entry)
        experiment = self.book.experiment(entry.name, tags)
        parent = self.book.parent(experiment.experiment_id)
        if parent is None:
            self.book.create(experiment.experiment_id, entry.name, tags, time.time())
            parent = self.book.parent(experiment.experiment_id)
        if parent is None:
            raise MlflowException(f"the run of experiment {entry.name} was made and is not there")
        self.experiment_id, self._parent_id = experiment.experiment_id, parent.info.run_id
        remove_half_copied(parent)
        self.client.log_text(self._parent_id, entry.spec, SPEC_FILE)
        return parent

    def start_trial(self, begun: Begun) -> None:
        """Begins or continues the run of a trial, whichever experiment it was first made for."""
        trial_id = begun.trial.trial_id
        self._begun[trial_id] = begun
        run = self.book.trial(trial_id) or self._create(begun)
        self._runs[trial_id] = run
        self._running.add(trial_id)
        remove_half_copied(run)
        self._describe(run, begun)
        if run.info.status != "RUNNING":
            self.client.update_run(run.info.run_id, status="RUNNING")

    def log(self, trial_id: str, progress: Progress) -> None:
        """Takes the measurements of a running trial; writes them once enough time has passed."""
        run = self._run(trial_id)
        points = points_of_progress(progress, self._first())
        self._pending.setdefault(trial_id, {}).update(points)
        self._shown_by(run)  # what an earlier attempt has mirrored
        if time.monotonic() >= self._flush_due:
            self.flush()

    def flush(self) -> None:
        """Writes the measurements gathered so far."""
        self._flush_due = time.monotonic() + self._flush_seconds
        for trial_id in list(self._pending):
            self._write_points(self._run(trial_id), self._pending[trial_id])
            del self._pending[trial_id]

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Writes an outcome with its complete history, and files as artifacts."""
        self._pending.pop(outcome.trial_id, None)
        begun = self._begun.get(outcome.trial_id)
        run = self.book.trial(outcome.trial_id) or self._run(outcome.trial_id)
        wanted = points_of_outcome(outcome, self._first())
        wrong = contradictions(wanted, self._shown_by(run))
        if wrong and begun:
            name, step = wrong[0]
            self.book.set_aside(run, f"{name} at step {step} is not what the ledger has")
            run = self._create(begun)
            self._describe(run, begun)
        self._write_points(run, wanted)
        self._write_outcome(run, outcome, files)
        self._running.discard(outcome.trial_id)
        for known in (self._runs, self._begun):
            known.pop(outcome.trial_id, None)
        self._shown.pop(run.info.run_id, None)

    def end_experiment(self, reported: Reported) -> None:
        """Writes the experiment's verdict as its note, and its report as an artifact."""
        assert self._entry is not None
        tags = entries.experiment_tags(self._entry, reported.summary)
        self.book.experiment(self._entry.name, tags)
        self.client.log_batch(self._parent(), tags=entries.as_tags(tags))
        self.client.log_artifact(self._parent(), str(reported.page))

    def forget(self) -> None:
        """Looks up every run anew: one may have been deleted by others."""
        self._parent_id = ""
        self._runs.clear()
        self._shown.clear()

    def close(self) -> None:
        """Writes what is left; trials without an outcome were interrupted, and count as killed."""
        self.flush()
        for trial_id in sorted(self._running):
            self.client.set_terminated(self._run(trial_id).info.run_id, "KILLED")
        if self._entry:
            self.client.set_terminated(self._parent(), "FINISHED")

    def shown(self, run: Run) -> Mapping[Point, set[float]]:
        """Returns every number that a run shows; of each point all values that it has."""
        shown: dict[Point, set[float]] = {}
        for name in run.data.metrics:
            for metric in self.client.get_metric_history(run.info.run_id, name):
                shown.setdefault((name, metric.step), set()).add(metric.value)
        return shown

    def is_nested(self, run: Run) -> bool:
        """Tells whether a run is shown under the experiment's own."""
        return run.data.tags.get(MLFLOW_PARENT_RUN_ID) == self._parent()

    def _parent(self) -> str:
        """Returns the id of the experiment's own run."""
        assert self._entry is not None
        return self._parent_id or self.enter_experiment(self._entry).info.run_id

    def _first(self) -> tuple[str, ...]:
        return self._entry.metrics if self._entry else ()

    def _create(self, begun: Begun) -> Run:
        parent_id = self._parent()  # first: it enters the experiment, if need be
        tags = {**entries.trial_tags(begun), MLFLOW_PARENT_RUN_ID: parent_id}
        self.book.create(self.experiment_id, entries.run_name(begun), tags, begun.started_at)
        run = self.book.trial(begun.trial.trial_id)
        if run is None:
            raise MlflowException(f"the run of trial {begun.trial.trial_id} is not there")
        if not run.data.metrics:
            self._shown[run.info.run_id] = {}
        return run

    def _describe(self, run: Run, begun: Begun) -> None:
        """Writes what is known of a trial from its start."""
        assert self._entry is not None
        names = dict.fromkeys([*entries.experiments_of(run.data.tags), self._entry.name])
        tags = {**entries.trial_tags(begun), entries.EXPERIMENTS: ", ".join(names)}
        if run.info.experiment_id == self.experiment_id:
            tags[MLFLOW_PARENT_RUN_ID] = self._parent()
        run_id = run.info.run_id
        self.client.log_batch(run_id, params=entries.parameters(begun), tags=entries.as_tags(tags))
        dataset = entries.dataset_input(begun.trial)
        if dataset:
            self.client.log_inputs(run_id, [dataset])
        self.client.log_text(run_id, entries.configuration_text(begun.trial), "configuration.json")

    def _write_points(self, run: Run, points: Mapping[Point, float]) -> None:
        """Writes the points that a run does not show; what it shows stays."""
        shown = self._shown_by(run)
        missing = [point for point in points if point not in shown]
        for start in range(0, len(missing), _METRICS_PER_BATCH):
            batch = missing[start : start + _METRICS_PER_BATCH]
            # A batch that was written in part is written again: MLflow drops equal rows, and the
            # timestamp is made of the run's start and the step alone.
            metrics = [
                Metric(name, points[name, step], run.info.start_time + step, step)
                for name, step in batch
            ]
            self.client.log_batch(run.info.run_id, metrics)
            shown.update({point: {points[point]} for point in batch})

    def _write_outcome(self, run: Run, outcome: Outcome, files: Sequence[Path]) -> None:
        run_id = run.info.run_id
        tags = entries.outcome_tags(outcome)
        for name, value in tags.items():
            if not value and name in run.data.tags:  # of an attempt that failed before
                self.client.delete_tag(run_id, name)
        present = [RunTag(name, value) for name, value in tags.items() if value]
        self.client.log_batch(run_id, tags=present)
        if outcome.failure and outcome.failure.traceback:
            self.client.log_text(run_id, outcome.failure.traceback, "traceback.txt")
        for file in files:
            self.client.log_artifact(run_id, str(file))
        finished_at = outcome.provenance.get("finished_at", time.time())
        status = entries.MLFLOW_STATUS[outcome.status]
        self.client.set_terminated(run_id, status, end_time=_milliseconds(finished_at))

    def _shown_by(self, run: Run) -> dict[Point, set[float]]:
        """Returns what a run shows, asked once and kept up to date."""
        if run.info.run_id not in self._shown:
            self._shown[run.info.run_id] = dict(self.shown(run))
        return self._shown[run.info.run_id]

    def _run(self, trial_id: str) -> Run:
        begun = self._begun.get(trial_id)
        run = (
            self._runs.get(trial_id) or self.book.trial(trial_id) or (begun and self._create(begun))
        )
        if not run:
            raise MlflowException(f"trial {trial_id} could not be begun, so it is not mirrored")
        self._runs[trial_id] = run
        return run


def _prepare(database: Path) -> None:
    """Makes an SQLite store if there is none, and opens it once; MLflow would try for minutes.

    Raises:
        sqlite3.Error: It is none, or cannot be opened.
    """
    if not database.exists():
        _create(database)
    _probe(database)


def _create(database: Path) -> None:
    """Makes an empty store; one that is killed while it migrates would be broken for ever."""
    for leftover in leftovers(database):
        leftover.unlink()
    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_name(f"{database.name}.new")
    _probe(unfinished)
    made = Location(runs=database.parent, uri=f"sqlite:///{unfinished}")
    SqlAlchemyStore(made.address, (database.parent / "mlartifacts").as_uri()).engine.dispose()
    unfinished.rename(database)


def leftovers(database: Path) -> list[Path]:
    """Returns the files of a store whose making was killed."""
    return sorted(database.parent.glob(f"{database.name}.new*"))


def _probe(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
