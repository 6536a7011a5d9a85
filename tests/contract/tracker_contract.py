"""What every MLflow store must do for the tracker: a suite that one class per store inherits."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qdexp.backends.mlflow_tracker import Location, MlflowTracker
from qdexp.config.presets import preset
from qdexp.execution.ports import Begun, Entry, Reported
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Failure, Outcome, Progress, Series, Status

if TYPE_CHECKING:
    from mlflow.entities import Run

CONDITION = {"model.num_embeddings": 4096}
STARTED_AT = 1_750_000_000.0
QUESTION = "Does a larger codebook help?"

Opened = Callable[..., MlflowTracker]


def trial(seed: int = 0) -> Trial:
    return Trial(configuration=preset("tiny"), seed=seed, data_fingerprint="f" * 64)


def begun(
    of: Trial,
    started_at: float = STARTED_AT,
    condition: Condition = CONDITION,
    tags: Mapping[str, str] = {},
) -> Begun:
    return Begun(trial=of, condition=condition, tags=tags, started_at=started_at)


def entry(name: str = "codebook_size", metrics: Sequence[str] = ()) -> Entry:
    return Entry(name=name, question=QUESTION, spec=f"name: {name}\n", metrics=tuple(metrics))


def outcome(of: Trial, status: Status = "completed") -> Outcome:
    failure = None if status == "completed" else Failure(reason=f"it was {status}")
    return Outcome(
        trial_id=of.trial_id,
        status=status,
        step=20,
        measurements={"eval.toy": 0.5, "train.toy": 2.0, "eval.broken": float("nan")},
        history={
            "train.toy": Series(steps=(0, 10, 20), values=(4.0, 3.0, 2.0)),
            "eval.toy": Series(steps=(0, 20), values=(0.9, 0.7)),
        },
        failure=failure,
        provenance={"finished_at": STARTED_AT + 60},
    )


class Reader:
    """What somebody who looks into MLflow finds."""

    def __init__(self, location: Location) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=location.address)

    def runs(self, role: str) -> "list[Run]":
        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return list(
            run
            for run in self.client.search_runs(everywhere, f"tags.`qdexp.role` = '{role}'")
            if run.info.run_name != "unused"
        )

    def deleted(self) -> "list[Run]":
        from mlflow.entities import ViewType

        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return list(self.client.search_runs(everywhere, run_view_type=ViewType.DELETED_ONLY))

    def history(self, run: "Run", name: str) -> list[tuple[int, float]]:
        metrics = self.client.get_metric_history(run.info.run_id, name)
        return sorted((metric.step, metric.value) for metric in metrics)

    def files(self, run: "Run") -> set[str]:
        return {each.path for each in self.client.list_artifacts(run.info.run_id)}

    def text(self, run: "Run", name: str) -> str:
        return Path(self.client.download_artifacts(run.info.run_id, name)).read_text()


class Torn(list[Path]):
    """Files at which the mirroring of an outcome ends half-way, and stays there."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def __iter__(self) -> Iterator[Path]:
        self.reached.set()
        raise SystemExit  # ends the writing thread alone, as a kill ends the process


class TrackerContract:
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

    def test_trials_are_nested_under_their_experiment_without_a_word(
        self, opened: Opened, reader: Reader, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = int(time.time())
        tracker = opened()
        for seed in range(2):
            tracker.start_trial(begun(trial(seed)))
            tracker.end_trial(outcome(trial(seed)), [])
        assert tracker.close() == ()
        (parent,) = reader.runs("experiment")
        nested = reader.runs("trial")
        assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {parent.info.run_id}
        assert {run.info.run_name for run in nested} == {
            "num_embeddings=4096, seed 0",
            "num_embeddings=4096, seed 1",
        }
        assert parent.data.tags["mlflow.note.content"] == QUESTION
        assert parent.info.start_time >= before * 1000
        assert reader.client.get_experiment(parent.info.experiment_id).name == "codebook_size"
        assert {*tracker.newly_mirrored()} == {trial(0).trial_id, trial(1).trial_id}
        assert capfd.readouterr() == ("", "")

    def test_trial_has_few_parameters_and_its_whole_configuration_as_a_file(
        self, opened: Opened, reader: Reader, tmp_path: Path
    ) -> None:
        picture = tmp_path / "codebook.png"
        picture.write_bytes(b"picture")
        tracker = opened()
        tracker.start_trial(begun(trial(), tags={"commit": "abc", "versions": "torch 2"}))
        tracker.end_trial(outcome(trial()), [picture])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert run.data.params == {"model.num_embeddings": "4096", "seed": "0"}
        assert run.data.tags["mlflow.source.git.commit"] == "abc"
        assert run.data.tags["qdexp.versions"] == "torch 2"
        assert run.data.tags["qdexp.trial_id"] == trial().trial_id
        assert reader.files(run) == {"configuration.json", "codebook.png"}
        text = reader.text(run, "configuration.json")
        assert json.loads(text) == preset("tiny").model_dump(mode="json")

    def test_trial_names_the_data_that_it_learns_from(self, opened: Opened, reader: Reader) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert run.inputs is not None
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("moving_digits", "f" * 36)
        assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "training"}
        assert json.loads(used.dataset.source)["kind"] == "moving_digits"

    def test_complete_history_is_kept_and_a_final_measurement_replaces_its_last_value(
        self, opened: Opened, reader: Reader
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        tracker.end_trial(outcome(trial()), [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert reader.history(run, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
        assert reader.history(run, "eval.toy") == [(0, 0.9), (20, 0.5)]
        assert run.data.metrics["eval.toy"] == 0.5
        assert "eval.broken" not in run.data.metrics
        assert run.info.start_time == STARTED_AT * 1000
        assert run.info.end_time == (STARTED_AT + 60) * 1000

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

    @pytest.mark.parametrize(
        ("status", "mlflow_status"),
        [
            ("completed", "FINISHED"),
            ("diverged", "FAILED"),
            ("failed", "FAILED"),
            ("pruned", "KILLED"),
            ("cancelled", "KILLED"),
        ],
    )
    def test_outcome_decides_the_status_and_is_tagged_with_its_reason(
        self, opened: Opened, reader: Reader, status: Status, mlflow_status: str
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial()))
        tracker.end_trial(outcome(trial(), status), [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert run.info.status == mlflow_status
        assert run.data.tags["qdexp.outcome"] == status
        reason = None if status == "completed" else f"it was {status}"
        assert run.data.tags.get("qdexp.reason") == reason
        assert run.data.tags["mlflow.note.content"].startswith(f"{status} after step 20")

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

    def test_verdict_is_the_note_and_report_and_spec_are_files_of_the_experiment(
        self, opened: Opened, reader: Reader, tmp_path: Path
    ) -> None:
        page = tmp_path / "report.html"
        page.write_text("<p>better</p>")
        tracker = opened()
        tracker.end_experiment(Reported(summary=("8192 is better.", "So say all."), page=page))
        assert tracker.close() == ()
        (parent,) = reader.runs("experiment")
        note = f"{QUESTION}\n\n8192 is better.\n\nSo say all."
        assert parent.data.tags["mlflow.note.content"] == note
        experiment = reader.client.get_experiment(parent.info.experiment_id)
        assert experiment.tags["mlflow.note.content"] == note
        assert reader.files(parent) == {"spec.yaml", "report.html"}
        assert reader.text(parent, "spec.yaml") == "name: codebook_size\n"
        assert opened().close() == ()  # a run that ends without a report keeps the verdict
        experiment = reader.client.get_experiment(parent.info.experiment_id)
        assert experiment.tags["mlflow.note.content"] == note

    def test_metrics_that_the_experiment_names_are_shown_before_hundreds_of_others(
        self, opened: Opened, reader: Reader
    ) -> None:
        tracker = opened(metrics=["zz.named"])
        tracker.start_trial(begun(trial()))
        many = {f"m{number}": float(number) for number in range(200)}
        measured = {**many, "zz.named": 1.0}
        tracker.end_trial(replace(outcome(trial()), measurements=measured, history={}), [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert "zz.named" in run.data.metrics
        assert len(run.data.metrics) == 40

    def test_what_cannot_be_mirrored_is_said_and_stops_nothing_else(
        self, opened: Opened, reader: Reader, tmp_path: Path
    ) -> None:
        tracker = opened()
        for seed, files in enumerate([[tmp_path / "missing.png"], []]):
            tracker.start_trial(begun(trial(seed)))
            tracker.end_trial(outcome(trial(seed)), files)
        tracker.log("0" * 16, Progress(step=0, num_steps=1))
        problems = tracker.close()
        assert len(problems) == 2
        assert "missing.png" in problems[0]
        assert "0" * 16 in problems[1]
        statuses = {run.data.params["seed"]: run.info.status for run in reader.runs("trial")}
        assert statuses["1"] == "FINISHED"
        assert tracker.newly_mirrored() == (trial(1).trial_id,)

    @pytest.mark.parametrize("name", ["my=metric(é)", "..", "/a//b", "", "x" * 300])
    def test_metric_is_mirrored_whatever_its_name(
        self, opened: Opened, reader: Reader, name: str
    ) -> None:
        tracker = opened()
        tracker.start_trial(begun(trial(), condition={name: "x" * 7000}))
        tracker.end_trial(replace(outcome(trial()), measurements={name: 0.5}), [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert run.info.status == "FINISHED"
        assert 0.5 in run.data.metrics.values()

    def test_more_numbers_than_one_request_takes_are_all_there(
        self, opened: Opened, reader: Reader
    ) -> None:
        steps = tuple(range(2500))
        history = {"train.toy": Series(steps=steps, values=tuple(map(float, steps)))}
        tracker = opened()
        tracker.start_trial(begun(trial()))
        long = replace(outcome(trial()), step=2500, history=history, measurements={})
        tracker.end_trial(long, [])
        assert tracker.close() == ()
        (run,) = reader.runs("trial")
        assert reader.history(run, "train.toy") == [(step, float(step)) for step in steps]

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

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_defect_in_the_writer_is_not_taken_for_success(self, opened: Opened) -> None:
        tracker = opened()
        not_even_text: Any = {"commit": 7}
        tracker.start_trial(begun(trial(), tags=not_even_text))
        (problem,) = tracker.close()
        assert "the writing thread died" in problem
