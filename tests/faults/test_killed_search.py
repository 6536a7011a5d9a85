"""Whatever kills a search, the same command goes on as if nothing had been."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from fault_session import Faults
from killed_runs import MARK, ForkServer, Kill
from optuna.trial import TrialState

from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import SuggestionRecord, suggestions_of

pytestmark = pytest.mark.slow

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
NUM_KILLS = 10
NUM_KILLS_OF_RAY = 3
HERE = Path(__file__).parent
STATES = {
    "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip


def prepared(folder: Path) -> Path:
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
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as read:
        statuses = Counter(read.execute("SELECT trial_id, status FROM outcomes").fetchall())
    assert len(statuses) == NUM_TRIALS
    assert set(statuses.values()) == {1}, "an outcome twice"


def content(runs: Path) -> list[tuple[Any, ...]]:
    return [(each.suggestion, each.told, each.rungs) for each in records_of(runs)]


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


def test_search_killed_at_any_moments_goes_on_as_if_it_had_not_been(
    server: ForkServer, faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("search")
    whole, killed = prepared(tmp_path / "whole"), prepared(tmp_path / "killed")
    ended = server.run(command("inline"), whole)
    assert ended.code == 0, ended.said
    assert_all_is_told(whole / "runs")
    assert "pruned" in {each.told.ending for each in records_of(whole / "runs") if each.told}
    hits = 0
    for _ in range(NUM_KILLS):
        after = chance.uniform(0, 2 * ended.seconds / NUM_KILLS)
        kill = Kill(signal="SIGKILL", after=after)
        again = server.run(command("inline"), killed, kill)
        assert "Traceback" not in again.said, again.said
        hits += again.was_hit
        faults.note(f"search: {kill}")
        assert_copy_opens(killed / "runs", tmp_path / "copy")
    last = server.run(command("inline"), killed)
    assert last.code == 0, last.said
    assert hits > NUM_KILLS / 2
    assert_all_is_told(killed / "runs")
    assert content(killed / "runs") == content(whole / "runs")


@pytest.mark.ray
def test_four_workers_try_nothing_twice_and_are_told_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from qdexp.api.searching import search
    from qdexp.backends.ray_tune import local_cluster

    folder = prepared(tmp_path / "ray")
    monkeypatch.chdir(folder)
    assert local_cluster  # sets Ray's environment before it is started
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    copies = Copies(folder / "runs", tmp_path / "copy")
    copies.start()
    try:
        done = search("hill.yaml", runs=folder / "runs", report=False, tracking=False)
    finally:
        ray.shutdown()
        copies.stop()
    assert any(0 < number < NUM_TRIALS for number in copies.num_told), "none in the middle"
    assert done.why_ended == f"{NUM_TRIALS} of {NUM_TRIALS} trials"
    assert len(done.suggestions) == NUM_TRIALS
    assert_all_is_told(folder / "runs")


@pytest.mark.ray
def test_driver_of_workers_that_is_killed_tries_nothing_twice(
    faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("search with workers")
    folder = prepared(tmp_path / "killed")
    hits = 0
    for number in range(NUM_KILLS_OF_RAY + 1):
        with (folder / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "qdexp", *command("ray")],
                cwd=folder,
                env={**os.environ, MARK: faults.mark},
                stdout=said,
                stderr=said,
            )
        if number == NUM_KILLS_OF_RAY:
            assert process.wait() == 0, (folder / "said.txt").read_text()
            break
        known = num_suggested(folder / "runs")
        while process.poll() is None and num_suggested(folder / "runs") == known:
            time.sleep(0.05)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0, 5))
        hits += process.poll() is None
        process.kill()
        process.wait()
        assert_copy_opens(folder / "runs", tmp_path / "copy")
    assert hits > 0
    assert_all_is_told(folder / "runs")


def num_suggested(runs: Path) -> int:
    return len(records_of(runs)) if (runs / "ledger.sqlite").exists() else 0
