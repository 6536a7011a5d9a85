# pyright: basic
"""MLflow compared with the ledger, trial by trial, and mended: what `qdexp doctor` does here."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlflow.entities import Run

from qdexp.backends.mlflow_tracker import entries
from qdexp.backends.mlflow_tracker.location import Location
from qdexp.backends.mlflow_tracker.points import contradictions, points_of_outcome
from qdexp.backends.mlflow_tracker.store import PROBLEMS, SPEC_FILE, MlflowStore
from qdexp.backends.mlflow_tracker.tracker import quieten, wait_for_former_writers
from qdexp.execution.ports import Begun, Checked, Entry, Reported
from qdexp.results.outcome import Outcome

_REPORT_FILE = "report.html"


class MlflowMirror:
    """An MLflow store under examination; nobody else mirrors this ledger meanwhile.

    Args:
        location: Where MLflow tracks.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._store: MlflowStore | None = None
        self._metrics: Sequence[str] = ()
        self._name = ""
        quieten()
        wait_for_former_writers()

    @property
    def place(self) -> str:
        """The tracking URI; empty for the runs folder's own store."""
        return self._location.place

    def silence(self) -> str:
        """Returns why MLflow cannot be looked at now, or nothing if it can."""
        silence = self._location.silence()
        if silence:
            return f"MLflow at {self._location.in_words}: {silence}; try again when it answers"
        try:
            self._store = self._store or MlflowStore(self._location, flush_seconds=0)
        except PROBLEMS as problem:
            return f"MLflow: its store cannot be opened: {problem}"
        return ""

    def check_experiment(self, entry: Entry, report: Callable[[], Reported] | None) -> Checked:
        """Compares an experiment's own run; `report` writes its report, if it should have one."""
        self._metrics, self._name = entry.metrics, entry.name
        try:
            return Checked(mended=tuple(self._mend_experiment(entry, report)))
        except PROBLEMS as problem:
            return self._failed(f"experiment {entry.name}", problem)

    def check_trial(
        self,
        begun: Begun,
        outcome: Outcome | None,
        files: Callable[[], Sequence[Path]],
        pictures: Sequence[str],
    ) -> Checked:
        """Compares a trial's run with its last outcome, or with its having none."""
        try:
            return Checked(mended=tuple(self._mend_trial(begun, outcome, files, pictures)))
        except PROBLEMS as problem:
            return self._failed(f"trial {begun.trial.trial_id}", problem)

    def _failed(self, what: str, problem: Exception) -> Checked:
        self._opened.forget()
        where = self._location.in_words
        return Checked(unmended=(f"{what}: MLflow at {where} could not show it: {problem}",))

    @property
    def _opened(self) -> MlflowStore:
        assert self._store is not None, "silence() comes first"
        return self._store

    def _mend_experiment(
        self, entry: Entry, report: Callable[[], Reported] | None
    ) -> Iterator[str]:
        store, name = self._opened, f"experiment {entry.name}"
        known = store.client.get_experiment_by_name(entry.name)
        former = store.book.parent(known.experiment_id) if known else None
        files = self._files(former) if former else set()
        parent = store.enter_experiment(entry)
        yield from self._surplus(name)
        if former is None:
            yield f"{name}: MLflow had no run of it: made"
        elif SPEC_FILE not in files:
            yield f"{name}: its run had no {SPEC_FILE}: added"
        if report and _REPORT_FILE not in files:
            store.end_experiment(report())
            yield f"{name}: its run had no report: added"
        if parent.info.status != "FINISHED":
            store.client.set_terminated(parent.info.run_id, "FINISHED")
            if former is not None:
                yield f"{name}: its run was {parent.info.status}: finished"

    def _mend_trial(
        self,
        begun: Begun,
        outcome: Outcome | None,
        files: Callable[[], Sequence[Path]],
        pictures: Sequence[str],
    ) -> Iterator[str]:
        store, name = self._opened, f"trial {begun.trial.trial_id}"
        run = store.book.trial(begun.trial.trial_id)
        yield from self._surplus(name)
        if outcome is None:
            if run and run.info.status == "RUNNING":
                store.client.set_terminated(run.info.run_id, "KILLED")
                yield f"{name}: its run was RUNNING, and nothing runs: now KILLED"
            return
        wrong = ["MLflow had no run of it"]
        if run:
            wrong = list(self._differences(run, outcome, begun, pictures))
        if wrong:
            store.start_trial(begun)
            store.end_trial(outcome, files())
            yield f"{name}: {', '.join(wrong)}: written from the ledger"

    def _differences(
        self, run: Run, outcome: Outcome, begun: Begun, pictures: Sequence[str]
    ) -> Iterator[str]:
        """Yields what a run says otherwise than the ledger."""
        status = entries.MLFLOW_STATUS[outcome.status]
        if run.info.status != status:
            yield f"its run was {run.info.status} instead of {status}"
        wanted = points_of_outcome(outcome, self._metrics)
        shown = self._opened.shown(run)
        if missing := [point for point in wanted if point not in shown]:
            yield f"{len(missing)} of {len(wanted)} numbers were missing"
        if wrong := contradictions(wanted, shown):
            yield f"{len(wrong)} numbers were others, or there twice"
        params = {param.key: param.value for param in entries.parameters(begun)}
        if not params.items() <= run.data.params.items():
            yield "its parameters were not all there"
        tags = {name: value for name, value in entries.outcome_tags(outcome).items() if value}
        if not tags.items() <= run.data.tags.items():
            yield "its tags did not say how it ended"
        store = self._opened
        if run.info.experiment_id == store.experiment_id and not store.is_nested(run):
            yield "it was not nested under its experiment"
        if self._name not in entries.experiments_of(run.data.tags):
            yield f"it was not tagged with {self._name}"
        files = {"configuration.json", *pictures}
        if outcome.failure and outcome.failure.traceback:
            files.add("traceback.txt")
        if absent := files - self._files(run):
            yield f"{', '.join(sorted(absent))} was missing"

    def _files(self, run: Run) -> set[str]:
        return {each.path for each in self._opened.client.list_artifacts(run.info.run_id)}

    def _surplus(self, name: str) -> Iterator[str]:
        removed = self._opened.book.removed
        for surplus, kept in removed:
            yield (
                f"{name}: run {surplus.info.run_id} was one too many: marked deleted, "
                f"{kept.info.run_id} is kept"
            )
        removed.clear()
