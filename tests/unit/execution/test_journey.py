"""Files travel to a worker that shares no folder with the driver, and back; none is lost."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from qdexp.backends.fsspec_storage import FsspecStorage, usable_storage
from qdexp.config.presets import preset
from qdexp.errors import RequestError
from qdexp.execution.dispatch import MARKS, Dispatch, place_in, recall
from qdexp.execution.journey import SCRATCH, located, scratch_folder, travelling
from qdexp.execution.ports import Assignment, Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress

FIRST, SECOND, FINAL = "checkpoint_step_1.pt", "checkpoint_step_2.pt", "final_checkpoint.pt"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / "runs" / "cache" / "ab12").mkdir(parents=True)
    (tmp_path / "runs" / "cache" / "ab12" / "train.safetensors").write_text("latents")
    return tmp_path / "runs"


@pytest.fixture
def uri(tmp_path: Path, runs: Path) -> str:
    return place_in(f"file://{tmp_path}/storage", runs)


@pytest.fixture
def storage(uri: str) -> FsspecStorage:
    return usable_storage(uri)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SCRATCH, str(tmp_path / "node"))
    return tmp_path / "node"


@pytest.fixture
def assignment(runs: Path) -> Assignment:
    trial = Trial(configuration=preset("tiny"), seed=0, data_fingerprint="none")
    teacher = runs / "trials" / "teacher" / FINAL
    teacher.parent.mkdir(parents=True)
    teacher.write_text("knowledge")
    workspace = Workspace(
        folder=runs / "trials" / trial.trial_id,
        latents=runs / "cache" / "ab12",
        teacher=teacher,
    )
    return Assignment(trial=trial, workspace=workspace)


class Heard:
    """A listener that remembers which files were in the runs folder when an outcome came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: dict[str, str] = {}

    def on_start(self, trial_id: str) -> None:
        pass

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        pass

    def on_outcome(self, outcome: Outcome) -> None:
        assert outcome.status == "completed"
        self.files = contents(self._folder)


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.rglob("*") if file.is_file()}


def trains(assignment: Assignment) -> Generator[object, None, None]:
    """Saves as a training does, keeps the last two checkpoints, and goes on from what is there."""
    folder = assignment.workspace.folder
    assert assignment.workspace.teacher is not None
    assert assignment.workspace.latents is not None
    assert assignment.workspace.teacher.read_text() == "knowledge"
    assert (assignment.workspace.latents / "train.safetensors").read_text() == "latents"
    for step in (1, 2, 3):
        if (folder / f"checkpoint_step_{step}.pt").exists():
            continue
        (folder / "half.tmp").write_text("half")
        (folder / f"checkpoint_step_{step}.pt").write_text(f"state {step}")
        (folder / f"checkpoint_step_{step - 2}.pt").unlink(missing_ok=True)
        try:
            yield Progress(step=step, num_steps=3)
        except GeneratorExit:
            (folder / "closed").write_text(f"state {step}")
            raise
    (folder / FINAL).write_text("state 3")
    (folder / SECOND).unlink(missing_ok=True)
    yield Outcome(trial_id=assignment.trial.trial_id, status="completed", step=3)


def work(sent: Assignment, storage: FsspecStorage) -> Iterator[object]:
    here = located(Assignment.from_json(sent.to_json()))
    assert here.workspace.folder.is_relative_to(scratch_folder(str(sent.storage)))
    return travelling(here, storage, trains)


def test_what_a_worker_makes_is_in_the_runs_folder_before_its_outcome_is_heard(
    assignment: Assignment, runs: Path, uri: str, storage: FsspecStorage, scratch: Path
) -> None:
    heard = Heard(assignment.workspace.folder)
    with Dispatch(runs, uri, storage, print).sent([assignment], heard) as (sent, listener):
        *_, outcome = work(sent[0], storage)
        listener.on_outcome(cast("Outcome", outcome))
    assert heard.files == {"checkpoint_step_3.pt": "state 3", FINAL: "state 3"}
    assert not (runs / MARKS).exists()
    assert storage.sizes("trials") == {}
    assert not list((scratch).rglob("*.tmp"))
    assert not list((scratch / scratch_folder(uri).name / "trials").iterdir())


def test_lost_worker_goes_on_elsewhere_from_what_it_had_sent(
    assignment: Assignment,
    runs: Path,
    uri: str,
    storage: FsspecStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = Heard(assignment.workspace.folder)
    with Dispatch(runs, uri, storage, print).sent([assignment], heard) as (sent, _):
        lost = work(sent[0], storage)
        assert [next(lost), next(lost)] == [Progress(step=s, num_steps=3) for s in (1, 2)]
        assert set(storage.sizes("trials/" + assignment.trial.trial_id)) == {FIRST, SECOND}
        monkeypatch.setenv(SCRATCH, str(runs.parent / "another node"))
        first, *_ = work(sent[0], storage)
        assert first == Progress(step=3, num_steps=3)


def test_interrupted_trial_is_in_the_runs_folder_afterwards(
    assignment: Assignment, runs: Path, uri: str, storage: FsspecStorage
) -> None:
    folder = assignment.workspace.folder

    def interrupted() -> None:
        with Dispatch(runs, uri, storage, print).sent([assignment], Heard(folder)) as (sent, _):
            reports = cast("Generator[object, None, None]", work(sent[0], storage))
            next(reports)
            reports.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(folder) == {FIRST: "state 1", "closed": "state 1"}
    assert storage.sizes("trials") == {}


def test_after_a_killed_driver_the_next_takes_its_checkpoints_back(
    assignment: Assignment, runs: Path, uri: str, storage: FsspecStorage
) -> None:
    folder = assignment.workspace.folder
    dispatch = Dispatch(runs, uri, storage, print)
    killed = dispatch.sent([assignment], Heard(folder))
    sent, _ = killed.__enter__()  # and never left
    running = work(sent[0], storage)  # kept: nobody closes it
    next(running)
    assert not folder.exists()
    assert recall(runs, FsspecStorage) == 1
    assert contents(folder) == {FIRST: "state 1"}
    assert recall(runs, FsspecStorage) == 0


def test_storage_that_is_away_keeps_its_trial_marked_and_is_named(
    assignment: Assignment, runs: Path, uri: str, storage: FsspecStorage
) -> None:
    class Away(FsspecStorage):
        def sizes(self, folder: str) -> dict[str, int]:
            raise OSError(f"no route to {folder}")

    said: list[str] = []
    heard = Heard(assignment.workspace.folder)
    with Dispatch(runs, uri, storage, said.append).sent([assignment], heard) as (sent, _):
        running = work(sent[0], storage)
        next(running)
        storage.sizes = Away(uri).sizes
    assert "no route to" in said[0]
    with pytest.raises(RequestError, match=r"expected to read file://.* 1 interrupted trials"):
        recall(runs, Away)
    assert recall(runs, FsspecStorage) == 1
    assert contents(assignment.workspace.folder) == {FIRST: "state 1"}


def test_former_files_of_a_trial_in_the_storage_do_not_come_to_life_again(
    assignment: Assignment, runs: Path, uri: str, storage: FsspecStorage, tmp_path: Path
) -> None:
    (tmp_path / "old").write_text("invalidated")
    storage.put(tmp_path / "old", f"trials/{assignment.trial.trial_id}/{FIRST}")
    dispatch = Dispatch(runs, uri, storage, print)
    with dispatch.sent([assignment], Heard(assignment.workspace.folder)) as (sent, _):
        assert next(iter(work(sent[0], storage))) == Progress(step=1, num_steps=3)


def test_uri_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RequestError, match="--storage: expected a URI of one of the protocols"):
        FsspecStorage("nowhere://bucket")


def test_storage_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="--storage: expected a storage that can be written"):
        usable_storage(f"file://{tmp_path}/file/folder")
