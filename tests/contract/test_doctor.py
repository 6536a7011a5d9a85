"""`qdexp doctor` finds what differs between the ledger, MLflow and the disk, and mends it."""

import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mirrored_trials import Reader, outcome
from tracking_servers import free_port

from qdexp.backends.mlflow_tracker import Location, MlflowTracker
from qdexp.cli import doctor_command
from qdexp.errors import InterruptedRunError, LedgerInUseError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import conduct
from qdexp.execution.ports import Assignment, Reported, Tracker
from qdexp.execution.silence import SILENT
from qdexp.experiment.reader import read_spec
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.sealed import seal
from tests.unit.execution.fakes import Ending, FakeDataset, FakeExecutor

if TYPE_CHECKING:
    from mlflow.entities import Run

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 1
"""


def measured(assignment: Assignment) -> Outcome:
    """Completes a trial with a history."""
    return outcome(assignment.trial)


def picture(_: Outcome, folder: Path) -> Sequence[Path]:
    (folder / "code_histogram.png").write_bytes(b"picture")
    return [folder / "code_histogram.png"]


def report(runs: Path) -> Reported:
    page = runs / "reports" / "sizes" / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<p>undecided</p>")
    return Reported(summary=("undecided",), page=page)


def run(runs: Path, tracker: Tracker | None = None, *, end: Ending = measured) -> None:
    spec = runs.parent / "spec.yaml"
    spec.write_text(SPEC)
    outside = Collaborators(
        dataset=FakeDataset(),
        executor=FakeExecutor(end),
        tracker=tracker or MlflowTracker(Location(runs=runs)),
        display=SILENT,
        draw=picture,
        provenance={"commit": "abc"},
        report=lambda: report(runs),
    )
    conduct(read_spec(spec), runs, outside)


@pytest.fixture
def fresh(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with nothing but an empty store."""
    monkeypatch.setattr(doctor_command, "draw", picture)
    monkeypatch.setattr(doctor_command, "refreshed", lambda _name, folder: report(folder))
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def runs(fresh: Path) -> Path:
    """A runs folder with a finished experiment of two trials, mirrored."""
    run(fresh)
    return fresh


@pytest.fixture
def reader(runs: Path) -> Reader:
    return Reader(Location(runs=runs))


class Doctor:
    def __init__(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._runs = runs
        self._capsys = capsys

    def examines(self, tracking_uri: str | None = None) -> tuple[int, list[str]]:
        """Returns the exit code and the lines on stdout."""
        code = doctor_command.examine(runs=self._runs, tracking_uri=tracking_uri, as_json=False)
        return code, self._capsys.readouterr().out.splitlines()

    def mends(self, *sentences: str) -> None:
        """Accepts that exactly these are mended, each once, and that all is well then."""
        code, lines = self.examines()
        assert code == 0
        assert len(lines) == len(sentences), lines
        for sentence in sentences:
            assert any(sentence in line for line in lines), (sentence, lines)
        assert self.examines() == (0, [f"all is well in {self._runs}"])


@pytest.fixture
def doctor(runs: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(runs, capsys)


def one(reader: Reader) -> "Run":
    return reader.runs("trial")[0]


def test_nothing_is_wrong_after_a_run(doctor: Doctor, runs: Path) -> None:
    assert doctor.examines() == (0, [f"all is well in {runs}"])


def test_missing_run_is_made_again_with_all_that_belongs_to_it(
    doctor: Doctor, reader: Reader
) -> None:
    lost = one(reader)
    reader.client.delete_run(lost.info.run_id)
    doctor.mends("MLflow had no run of it: written from the ledger")
    (made,) = [
        each
        for each in reader.runs("trial")
        if each.data.tags["qdexp.trial_id"] == lost.data.tags["qdexp.trial_id"]
    ]
    assert made.data.params == lost.data.params
    assert made.data.metrics == lost.data.metrics
    assert made.info.start_time == lost.info.start_time
    assert reader.history(made, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
    assert reader.files(made) == reader.files(lost) == {"configuration.json", "code_histogram.png"}


def test_wrong_status_is_put_right(doctor: Doctor, reader: Reader) -> None:
    reader.client.update_run(one(reader).info.run_id, status="RUNNING")
    doctor.mends("its run was RUNNING instead of FINISHED")


def test_run_of_a_trial_without_an_outcome_is_killed(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = iter([measured, lambda _: None])
    with pytest.raises(InterruptedRunError):
        run(fresh, end=lambda assignment: next(ends)(assignment))
    reader = Reader(Location(runs=fresh))
    (killed,) = [each for each in reader.runs("trial") if each.info.status == "KILLED"]
    reader.client.update_run(killed.info.run_id, status="RUNNING")
    Doctor(fresh, capsys).mends("its run was RUNNING, and nothing runs: now KILLED")


def test_picture_of_the_folder_that_mlflow_does_not_show_is_added(
    doctor: Doctor, reader: Reader, runs: Path
) -> None:
    (file, _) = sorted((runs / "mlartifacts").glob("*/*/artifacts/code_histogram.png"))
    file.unlink()
    doctor.mends("code_histogram.png was missing: written from the ledger")
    assert file.exists()
    assert "code_histogram.png" in reader.files(one(reader))


def test_missing_and_contradicting_numbers_are_written_anew(doctor: Doctor, reader: Reader) -> None:
    broken = one(reader)
    reader.client.log_metric(broken.info.run_id, "train.toy", 9.0, step=10)
    doctor.mends("1 numbers were others, or there twice")
    for each in reader.runs("trial"):
        assert reader.history(each, "train.toy") == [(0, 4.0), (10, 3.0), (20, 2.0)]
    assert [each.info.run_id for each in reader.deleted()] == [broken.info.run_id]


def test_of_two_runs_of_one_trial_the_right_one_is_kept(doctor: Doctor, reader: Reader) -> None:
    right = one(reader)
    tags = {name: right.data.tags[name] for name in ("qdexp.trial_id", "qdexp.role")}
    surplus = reader.client.create_run(right.info.experiment_id, tags=tags)
    doctor.mends(f"run {surplus.info.run_id} was one too many: marked deleted")
    assert right.info.run_id in {each.info.run_id for each in reader.runs("trial")}


def test_experiments_own_run_is_made_again_with_spec_and_report(
    doctor: Doctor, reader: Reader
) -> None:
    (parent,) = reader.runs("experiment")
    reader.client.delete_run(parent.info.run_id)
    doctor.mends(
        "MLflow had no run of it: made",
        "its run had no report: added",
        *["it was not nested under its experiment"] * 2,
    )
    (made,) = reader.runs("experiment")
    assert reader.files(made) == {"spec.yaml", "report.html"}
    assert made.data.tags["mlflow.note.content"] == "Does size matter?\n\nundecided"
    assert {each.data.tags["mlflow.parentRunId"] for each in reader.runs("trial")} == {
        made.info.run_id
    }


def test_what_a_server_that_was_away_lacks_is_added(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Location(runs=fresh, uri=f"http://127.0.0.1:{free_port()}")
    run(fresh, MlflowTracker(away))
    doctor = Doctor(fresh, capsys)
    doctor.mends(
        "experiment sizes: MLflow had no run of it: made",
        "experiment sizes: its run had no report: added",
        *["MLflow had no run of it: written from the ledger"] * 2,
    )
    with Ledger(fresh) as ledger:
        assert ledger.unmirrored("sizes", "") == []


def test_server_that_does_not_answer_is_not_mended(doctor: Doctor) -> None:
    code, (line,) = doctor.examines(f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert line.startswith("not mended: MLflow at http://127.0.0.1:")
    assert line.endswith("Connection refused; try again when it answers")


def test_files_of_killed_writes_are_deleted(doctor: Doctor, runs: Path) -> None:
    folder = next((runs / "trials").iterdir())
    (folder / "checkpoint_step_5.tmp").write_bytes(b"half")
    (runs / "mlflow.db.new").write_bytes(b"half")
    (runs / "mlflow.db.new-journal").write_bytes(b"half")
    report = runs / "reports" / "sizes" / ".report.html.new"
    report.write_bytes(b"half")
    locked = os.open(report.parent, os.O_RDONLY)
    fcntl.flock(locked, fcntl.LOCK_EX)  # its writer is still at it
    doctor.mends("checkpoint_step_5.tmp", "mlflow.db.new:", "mlflow.db.new-journal")
    assert report.exists()
    os.close(locked)
    doctor.mends(".report.html.new")
    assert list(runs.rglob("*.tmp")) == []


def test_damaged_checkpoint_is_moved_aside(doctor: Doctor, runs: Path) -> None:
    folder = next((runs / "trials").iterdir())
    (folder / "checkpoint_step_5.pt").write_bytes(b"weights" + seal(b"weights"))
    (folder / "checkpoint_step_9.pt").write_bytes(b"weights" + seal(b"others"))
    doctor.mends("checkpoint_step_9.pt was damaged: renamed to checkpoint_step_9.pt.damaged")
    assert (folder / "checkpoint_step_5.pt").exists()


def test_damaged_final_weights_of_a_completed_trial_cannot_be_mended(
    doctor: Doctor, runs: Path
) -> None:
    folder = next((runs / "trials").iterdir())
    (folder / "final_checkpoint.pt").write_bytes(b"weights" + seal(b"others"))
    for _ in range(2):
        code, (line,) = doctor.examines()
        assert code == 1
        assert f"`qdexp invalidate {folder.name} --because TEXT`, then run" in line


def test_folder_that_a_driver_uses_is_left_alone(doctor: Doctor, runs: Path) -> None:
    with Recorder(runs), pytest.raises(LedgerInUseError, match="in use by process"):
        doctor.examines()


def test_folder_without_a_ledger_is_well_and_stays_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor_command.examine(runs=tmp_path, tracking_uri=None, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"mended": [], "unmended": []}
    assert list(tmp_path.iterdir()) == []


def test_store_in_the_folder_is_not_made_for_a_ledger_that_is_mirrored_elsewhere(
    tmp_path: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "elsewhere"
    (fresh / "mlflow.db").rename(tmp_path / "t")
    run(folder, MlflowTracker(Location(runs=folder, uri=f"sqlite:///{tmp_path}/t")))
    assert doctor_command.examine(runs=folder, tracking_uri=None, as_json=False) == 0
    assert f"this ledger is mirrored at sqlite:///{tmp_path}/t" in capsys.readouterr().err
    assert not (folder / "mlflow.db").exists()
