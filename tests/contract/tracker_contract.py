"""What every MLflow store must do for the tracker: a suite that one class per store inherits."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exactly_once_contract import ExactlyOnceContract
from mirrored_trials import (
    QUESTION,
    STARTED_AT,
    Opened,
    Reader,
    begun,
    outcome,
    trial,
)

from qdexp.config.presets import preset
from qdexp.execution.ports import Reported
from qdexp.results.outcome import Progress, Series, Status


class TrackerContract(ExactlyOnceContract):
    """Every store passes it; a subclass says where the store is, by the fixture `location`."""

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

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_defect_in_the_writer_is_not_taken_for_success(self, opened: Opened) -> None:
        tracker = opened()
        not_even_text: Any = {"commit": 7}
        tracker.start_trial(begun(trial(), tags=not_even_text))
        (problem,) = tracker.close()
        assert "the writing thread died" in problem
