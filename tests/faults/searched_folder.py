"""A folder in which a search over a toy hill is killed, and what must be true of it at last."""

import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import optuna
from optuna.trial import TrialState
from searches import attempts

from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import SuggestionRecord, suggestions_of

SPEC = """\
name: hill
question: Where is it lowest?
trainable: own_trainables:hill
set: {steps: 2}
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0}
  spoilt: {choices: ['no', nan, diverges, raises], when: x > 0.25 and x < 0.35}
metrics: {primary: error}
budget: {trials: TRIALS}
pruning: {kind: asha, metric: error, steps: [1], reduction_factor: 2}
sampler: random
workers: 4
"""
NUM_TRIALS = 200
HERE = Path(__file__).parent
STATES = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip


def prepared(folder: Path) -> Path:
    """Returns a new folder with the search's spec, and its training beside it."""
    folder.mkdir()
    (folder / "hill.yaml").write_text(SPEC.replace("TRIALS", str(NUM_TRIALS)))
    shutil.copy(HERE.parent / "contract" / "own_trainables.py", folder)
    return folder


def command(executor: str) -> list[str]:
    return ["search", "hill.yaml", "--executor", executor, "--no-report", "--no-tracking"]


def records_of(runs: Path) -> list[SuggestionRecord]:
    with Ledger(runs) as ledger:
        return suggestions_of(ledger, "hill")


def shown(runs: Path) -> list[optuna.trial.FrozenTrial]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{runs / 'optuna.sqlite'}")
    try:
        return optuna.load_study(study_name="hill", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


def assert_all_is_told(runs: Path) -> None:
    """Every suggestion is another one, ended, and the same in the ledger and in the study."""
    records, trials = records_of(runs), shown(runs)
    assert len(records) == len(trials) == NUM_TRIALS
    values = [tuple(sorted(each.suggestion.values.items())) for each in records]
    assert len(set(values)) == NUM_TRIALS
    for record, trial in zip(records, trials, strict=True):
        assert record.told is not None
        assert trial.state == STATES[record.told.ending]
        assert trial.user_attrs["qdexp.trial_ids"] == list(record.trial_ids)
        assert trial.params == dict(record.suggestion.values)
        if record.told.ending == "complete":
            assert trial.values == list(record.told.values)
    assert {each.told.ending for each in records if each.told} >= {"complete", "failed"}
    assert num_outcomes(runs) == dict.fromkeys(
        (trial_id for each in records for trial_id in each.trial_ids), 1
    )


def num_outcomes(runs: Path) -> Mapping[str, int]:
    """Returns how many outcomes each trial has: one, whatever happened."""
    if not (runs / "ledger.sqlite").exists():
        return {}
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as read:
        return Counter(each for (each,) in read.execute("SELECT trial_id FROM outcomes"))


def attempts_at_ended(runs: Path) -> dict[str, int]:
    """Returns how often each trial was begun that has ended, and so is begun no more."""
    ended = num_outcomes(runs)  # before: what is begun meanwhile has none
    return {each: number for each, number in attempts(runs).items() if each in ended}


def assert_copy_opens(runs: Path, place: Path) -> None:
    """Databases that were copied as they lie there, after whatever happened, are whole."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for file in [*runs.glob("ledger.sqlite*"), *runs.glob("optuna.sqlite*")]:
        shutil.copy(file, place)
    for file in place.glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as read:
            assert read.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if (place / "ledger.sqlite").exists():
        records_of(place)


class Copies(threading.Thread):
    """Copies of the databases of a running search, each looked at, until it is told to stop."""

    def __init__(self, runs: Path, place: Path) -> None:
        super().__init__(daemon=True)
        self.num_told: list[int] = []
        self.problem: Exception | None = None
        self._runs, self._place = runs, place
        self._is_over = threading.Event()

    def run(self) -> None:
        try:
            while not self._is_over.wait(2):
                if (self._runs / "optuna.sqlite").exists():
                    self._copy()
        except Exception as problem:  # noqa: BLE001  the test raises it
            self.problem = problem

    def stop(self) -> None:
        self._is_over.set()
        self.join()
        if self.problem:
            raise self.problem

    def _copy(self) -> None:
        """The study first: whatever it shows was in the ledger before."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        for name in ("optuna.sqlite", "ledger.sqlite"):
            shutil.copy(self._runs / name, self._place / f"plain.{name}")
            with closing(sqlite3.connect(self._place / f"plain.{name}")) as plain:
                plain.execute("SELECT * FROM sqlite_master").fetchall()  # it opens
            with (
                closing(sqlite3.connect(self._runs / name, timeout=60)) as running,
                closing(sqlite3.connect(self._place / name)) as copy,
            ):
                running.backup(copy)
                assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        records, trials = records_of(self._place), list[optuna.trial.FrozenTrial]()
        with suppress(KeyError):  # the file and Optuna's tables are there before the study
            trials = shown(self._place)
        assert [each.suggestion.number for each in records] == list(range(len(records)))
        for record, trial in zip(records, trials, strict=False):
            assert trial.user_attrs["qdexp.trial_ids"] == list(record.trial_ids)
            if trial.state.is_finished():
                assert record.told
                assert trial.state == STATES[record.told.ending]
        assert len(trials) <= len(records)
        self.num_told.append(sum(each.told is not None for each in records))
