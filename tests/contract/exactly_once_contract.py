"""The part of the tracker's contract that is about repeating: one run, each step once."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from mirrored_trials import STARTED_AT, Opened, Reader, begun, entry, outcome, trial

from qdexp.backends.mlflow_tracker import Location, MlflowTracker
from qdexp.results.outcome import Failure, Outcome, Progress


class Torn(list[Path]):
    """Files at which the mirroring of an outcome ends half-way, and stays there."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def __iter__(self) -> Iterator[Path]:
        self.reached.set()
        raise SystemExit  # ends the writing thread alone, as a kill ends the process


class ExactlyOnceContract:
    """Every store passes it; a subclass says where the store is, by the fixture `location`."""

    @pytest.fixture
    def opened(self, location: Location) -> Opened:
        """Opens an experiment over the same store, each time with a new tracker."""

        def build(name: str = "codebook_size", metrics: Sequence[str] = ()) -> MlflowTracker:
            tracker = MlflowTracker(location)
            tracker.open_experiment(entry(name, metrics))
            return tracker

        return build

    @pytest.fixture
    def reader(self, location: Location) -> Reader:
        return Reader(location)

    def test_progress_is_mirrored_while_a_trial_runs_and_the_last_step_by_its_outcome(
        self, opened: Opened, reader: Reader
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        for step in (0, 10, 20):
            measured = {"train.toy": 4.0 - step / 10, "train.broken": float("inf")}
            tracker.log(trial().trial_id, Progress(step=step, num_steps=20, measurements=measured))
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0)]
        assert "train.broken" not in run.data.metrics

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_replay_after_an_abandoned_tracker_repeats_nothing(
        self, opened: Opened, reader: Reader
    ) -> None:
        def mirror(started_at: float, files: list[Path]) -> MlflowTracker:
            tracker = opened()
            tracker.start_trial(begun(trial(), started_at))
            first = Progress(step=0, num_steps=20, measurements={"train.toy": 4.0})
            tracker.log(trial().trial_id, first)
            tracker.end_trial(outcome(trial()), files)
            return tracker

        torn = Torn()
        killed = mirror(STARTED_AT, torn)
        assert torn.reached.wait(timeout=120)
        assert "died" in killed.close()[0]
        (abandoned,) = reader.runs("trial")
        assert abandoned.info.status == "RUNNING"
        assert mirror(STARTED_AT + 1000, []).close() == ()
        (run,) = reader.runs("trial")
        assert (run.info.run_id, run.info.status) == (abandoned.info.run_id, "FINISHED")
        assert reader.history(run, "eval.toy") == [(0, 0.9), (20, 0.5)]
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
        assert len(reader.runs("experiment")) == 1

    def test_step_that_a_later_attempt_measures_otherwise_is_there_once(
        self, opened: Opened, reader: Reader
    ) -> None:
        for seconds in (0.25, 0.5):  # a timing: every attempt gives another number
            tracker = opened()
            tracker.start_trial(begun(trial()))
            measured = {"cost.toy": seconds}
            tracker.log(trial().trial_id, Progress(step=0, num_steps=20, measurements=measured))
            assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert reader.history(run, "cost.toy") == [(0, 0.25)]

    def test_run_that_contradicts_the_ledger_is_set_aside_for_one_that_does_not(
        self, opened: Opened, reader: Reader
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        wrong = Progress(step=10, num_steps=20, measurements={"train.toy": 3.5})
        tracker.log(trial().trial_id, wrong)
        assert tracker.close() == ()
        again = opened()
        again.start_trial(begun(trial()))
        again.end_trial(outcome(trial()), [])
        assert again.close() == ()
        (run,) = reader.runs("trial")
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
        assert run.data.params == {"model.num_embeddings": "4096", "seed": "0"}
        assert reader.files(run) == {"configuration.json"}
        (aside,) = reader.deleted()
        assert "train.toy at step 10" in aside.data.tags["qdexp.set_aside_because"]

    def test_traceback_of_a_failure_is_a_file_and_its_reason_goes_when_it_completes(
        self, opened: Opened, reader: Reader
    ) -> None:
        failure = Failure(reason="ValueError", kind="exception", traceback="Traceback: here")
        failed = Outcome(trial_id=trial().trial_id, status="failed", step=0, failure=failure)
        tracker = opened()
        tracker.start_trial(begun(trial()))
        tracker.end_trial(failed, [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert "traceback.txt" in reader.files(run)
        assert run.data.tags["qdexp.failure_kind"] == "exception"
        again = opened()
        again.start_trial(begun(trial()))
        again.end_trial(outcome(trial()), [])
        assert again.close() == ()
        (mended,) = reader.runs("trial")
        assert mended.info.run_id == run.info.run_id
        assert {"qdexp.reason", "qdexp.failure_kind"}.isdisjoint(mended.data.tags)

    def test_interrupted_trial_is_killed_and_goes_on_in_the_same_run(
        self, opened: Opened, reader: Reader
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        assert tracker.close() == ()
        (interrupted,) = reader.runs("trial")
        (parent,) = reader.runs("experiment")
        assert (interrupted.info.status, parent.info.status) == ("KILLED", "FINISHED")
        again = opened()
        again.start_trial(begun(trial(), STARTED_AT + 1000))
        again.end_trial(outcome(trial()), [])
        assert again.close() == ()
        (run,) = reader.runs("trial")
        assert run.info.run_id == interrupted.info.run_id
        assert (run.info.status, run.info.start_time) == ("FINISHED", STARTED_AT * 1000)

    def test_trial_shared_by_experiments_stays_with_the_first_and_is_tagged_with_both(
        self, opened: Opened, reader: Reader
    ) -> None:
        for name in ("codebook_size", "timestep_range"):
            tracker = opened(name)
            tracker.start_trial(begun(trial()))
            tracker.end_trial(outcome(trial()), [])
            assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert run.data.tags["qdexp.experiments"] == "codebook_size, timestep_range"
        assert reader.client.get_experiment(run.info.experiment_id).name == "codebook_size"

    def test_experiment_and_run_that_somebody_deleted_are_there_again(
        self, opened: Opened, reader: Reader
    ) -> None:
        for _ in range(2):
            tracker = opened()
            tracker.start_trial(begun(trial()))
            tracker.end_trial(outcome(trial()), [])
            assert tracker.close() == ()
            (run,) = reader.runs("trial")
            assert run.info.status == "FINISHED"
            reader.client.delete_run(run.info.run_id)
            reader.client.delete_experiment(run.info.experiment_id)

    def test_two_at_once_agree_on_one_run_and_one_parent(
        self, opened: Opened, reader: Reader
    ) -> None:
        trackers = [opened() for _ in range(2)]
        for tracker in trackers:
            tracker.start_trial(begun(trial()))
        for tracker in trackers:
            tracker.end_trial(outcome(trial()), [])
        assert [tracker.close() for tracker in trackers] == [(), ()]
        last = opened()
        last.start_trial(begun(trial()))
        last.end_trial(outcome(trial()), [])
        assert last.close() == ()
        assert len(reader.runs("experiment")) == 1
        (run,) = reader.runs("trial")
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
