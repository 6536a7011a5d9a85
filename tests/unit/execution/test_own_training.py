"""What a user's generator receives, what closing it means, and what its checkpoints are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

import qdexp
from qdexp.config.configuration import Configuration
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.errors import CheckpointError
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment, Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.folders import latest_step, own_checkpoint_name
from qdexp.results.outcome import Outcome, Progress, Series


class Config(pydantic.BaseModel):
    steps: int = 2


ERROR = qdexp.Metric(name="error", direction="lower")
closed: list[str] = []
alive: list[Iterator[Progress | Outcome]] = []


def steps(trial: qdexp.OwnTrial[Config], _workspace: qdexp.Workspace) -> qdexp.Reports:
    try:
        for step in range(trial.configuration.steps):
            yield Progress(step=step, num_steps=2, measurements={"error": float(step)})
        yield trial.completed(step=2, measurements={"error": 1.0}, warnings=["slow"])
    finally:
        closed.append(trial.trial_id)


def lingers(trial: qdexp.OwnTrial[Config], workspace: qdexp.Workspace) -> qdexp.Reports:
    alive.append(steps(trial, workspace))  # referred to by somebody else, as by a debugger
    return alive[-1]


def trainable(function: Any) -> Any:  # noqa: ANN401
    return qdexp.trainable(configuration=Config, metrics=[ERROR], revision=1)(function)


declared, lingering = trainable(steps), trainable(lingers)


def assignment(folder: Path, **configuration: int) -> Assignment:
    own = OwnConfiguration(
        values={"steps": 2, **configuration}, revision=1, num_steps=2, data_fingerprint="none"
    )
    trial = Trial(
        configuration=own, seed=3, data_fingerprint="none", trainable=f"{__name__}:declared"
    )
    return Assignment(trial=trial, workspace=Workspace(folder=folder))


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assignment:
    """An assignment of this file's trainable, which is found under the name that it has here."""
    found = {f"{__name__}:declared": declared}
    monkeypatch.setattr("qdexp.execution.attempt.imported", found.__getitem__)
    return assignment(tmp_path)


def test_assignment_without_latents_crosses_process_boundaries(one: Assignment) -> None:
    assert Assignment.from_json(one.to_json()) == one
    assert Assignment.from_json(one.to_json()).trial.trial_id == one.trial.trial_id
    assert Assignment.from_json(one.to_json()).workspace.latents is None


def test_outcome_gets_what_was_reported_as_its_history(one: Assignment) -> None:
    *progress, outcome = attempt(one)
    assert len(progress) == 2
    assert isinstance(outcome, Outcome)
    assert (outcome.trial_id, outcome.status) == (one.trial.trial_id, "completed")
    assert outcome.history == {"error": Series(steps=(0, 1), values=(0.0, 1.0))}
    assert outcome.warnings == ("slow",)


def test_closing_an_attempt_closes_the_users_generator(one: Assignment) -> None:
    closed.clear()
    reports = lingering(one.trial, one.workspace)
    assert isinstance(next(reports), Progress)
    reports.close()
    assert closed == [one.trial.trial_id]


def test_trial_of_another_kind_of_configuration_is_a_failure_that_says_so(one: Assignment) -> None:
    ours = Trial(
        configuration=Configuration(),
        seed=0,
        data_fingerprint="d",
        trainable=one.trial.trainable,
    )
    (outcome,) = attempt(Assignment(trial=ours, workspace=one.workspace))
    assert isinstance(outcome, Outcome)
    assert outcome.failure is not None
    assert "expected a configuration of Config, found one of qdexp's" in outcome.failure.reason


def test_checkpoint_that_is_damaged_is_passed_over_and_old_ones_go(tmp_path: Path) -> None:
    workspace = Workspace(folder=tmp_path / "trial")
    assert workspace.latest_checkpoint() is None
    for step in (0, 9, 10):
        workspace.save_checkpoint(step, f"after {step}".encode())
    assert sorted(path.name for path in workspace.folder.iterdir()) == sorted(
        own_checkpoint_name(step) for step in (9, 10)
    )
    assert workspace.latest_checkpoint() == (10, b"after 10")
    assert latest_step(workspace.folder) == 10
    (workspace.folder / own_checkpoint_name(10)).write_bytes(b"after 10")
    assert workspace.latest_checkpoint() == (9, b"after 9")


def test_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(folder=tmp_path)
    workspace.save_checkpoint(1, b"one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        workspace.save_checkpoint(2, b"two")
    assert [path.name for path in tmp_path.iterdir()] == [own_checkpoint_name(1)]
    assert workspace.latest_checkpoint() == (1, b"one")


@pytest.mark.parametrize(("step", "content"), [(-1, b""), (1.0, b""), (True, b""), (1, "text")])
def test_checkpoint_is_bytes_under_a_step(tmp_path: Path, step: Any, content: Any) -> None:  # noqa: ANN401
    with pytest.raises(CheckpointError, match="expected a checkpoint"):
        Workspace(folder=tmp_path).save_checkpoint(step, content)
    assert not list(tmp_path.iterdir())
