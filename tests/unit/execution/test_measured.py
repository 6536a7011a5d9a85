"""What trials took is read from the ledger, and from what probes left; a probe leaves no more."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qdexp.config.presets import preset
from qdexp.execution import machine
from qdexp.execution.estimate import Measured, Measurements
from qdexp.execution.measured import gpu_memory_bytes, keep_probe, measurements
from qdexp.execution.ports import Assignment, Workspace
from qdexp.execution.probe import measured_from, probe
from qdexp.execution.probing import probed
from qdexp.execution.shape import shape_of
from qdexp.experiment.plan import Known, make_plan
from qdexp.experiment.trial import Trial
from qdexp.results.folders import trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.machine import cpu_model
from qdexp.results.outcome import Outcome, Progress, Series
from qdexp.results.recorder import Recorder
from tests.unit.execution.fakes import FakeDataset

TRIAL = Trial(configuration=preset("tiny"), seed=0, data_fingerprint="d")
FIELD = "model.num_embeddings"
PROBED = Measured(
    source="probe",
    step_seconds=3.0,
    fastest=2.0,
    slowest=4.0,
    num_steps=8,
    other_seconds=1.0,
    peak_memory_bytes=70,
)


def record(runs: Path, trial: Trial = TRIAL, cpu: str = "", **changes: Any) -> None:  # noqa: ANN401
    outcome = Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=100,
        measurements={
            "cost.train_seconds": 200.0,
            "cost.eval_seconds": 20.0,
            "cost.peak_memory_bytes": 50.0,
        },
        history={"cost.step_seconds": Series(steps=(50, 100), values=(1.5, 2.5))},
        provenance={
            "started_at": 1000.0,
            "finished_at": 1230.0,
            "resumed_from_step": None,
            "hardware": {"cpu": cpu or cpu_model()},
        },
    )
    with Recorder(runs) as recorder:
        recorder.record_plan(("s", "t", {"name": "sizes"}), [(trial, {FIELD: 1})])
        recorder.record_outcome(replace(outcome, **changes))


def read(runs: Path, *trials: Trial) -> list[Measured]:
    with Ledger(runs) as ledger:
        found = measurements(ledger, trials or [TRIAL])
    return [each for key in found.steps for each in found.steps[key]]


def test_past_trial_tells_its_steps_and_all_else(tmp_path: Path) -> None:
    record(tmp_path)
    folder = trial_folder(tmp_path, TRIAL.trial_id)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"12345")
    assert read(tmp_path) == [
        Measured(
            source="trial",
            step_seconds=2.0,
            fastest=1.5,
            slowest=2.5,
            num_steps=100,
            other_seconds=30.0,
            peak_memory_bytes=50,
            disk_bytes=5,
        )
    ]


def test_trial_that_was_interrupted_tells_only_what_it_measured_beside_its_steps(
    tmp_path: Path,
) -> None:
    record(tmp_path, provenance={"started_at": 0.0, "finished_at": 9.0, "resumed_from_step": 90})
    (found,) = read(tmp_path)
    assert (found.step_seconds, found.other_seconds) == (2.0, 20.0)


def test_trainable_without_costs_is_timed_by_the_clock(tmp_path: Path) -> None:
    other = replace(TRIAL, trainable="their.module:train")
    record(tmp_path, other, measurements={"their.score": 1.0})
    (found,) = read(tmp_path, other)
    assert (found.step_seconds, found.other_seconds, found.peak_memory_bytes) == (2.3, 0.0, None)


def test_trials_of_another_shape_or_without_a_step_tell_nothing(tmp_path: Path) -> None:
    other = replace(TRIAL, configuration=TRIAL.configuration.replace({FIELD: 64}))
    record(tmp_path, other)
    record(tmp_path, step=0)
    assert read(tmp_path) == []


def test_here_counts_before_a_probe_and_a_probe_before_elsewhere(tmp_path: Path) -> None:
    elsewhere = replace(TRIAL, seed=1)
    record(tmp_path, elsewhere, cpu="another processor")
    (found,) = read(tmp_path)
    assert found.is_elsewhere
    keep_probe(tmp_path, shape_of(TRIAL), PROBED)
    assert read(tmp_path) == [PROBED]
    record(tmp_path)
    (found,) = read(tmp_path)
    assert (found.source, found.is_elsewhere) == ("trial", False)


def test_memory_for_several_trials_on_a_gpu_is_known_from_a_probe(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert gpu_memory_bytes(ledger, TRIAL) is None
    keep_probe(tmp_path, shape_of(TRIAL), PROBED)
    keep_probe(tmp_path, shape_of(TRIAL), replace(PROBED, peak_memory_bytes=90))
    with Ledger(tmp_path) as ledger:
        assert gpu_memory_bytes(ledger, TRIAL) == 90
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["probes.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99, "shapes": {}}', '{"version": 1}'])
def test_probes_that_cannot_be_read_count_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "probes.json").write_text(content)
    assert read(tmp_path) == []


def theirs(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    for step in range(100):
        yield Progress(step=step, num_steps=100, gpu_memory_bytes=123)
    yield Outcome(trial_id=trial.trial_id, status="completed", step=100)


def breaks(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield Progress(step=0, num_steps=100)
    raise ValueError("no")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("their_module")
    module.theirs, module.breaks = theirs, breaks  # pyright: ignore
    monkeypatch.setitem(sys.modules, "their_module", module)


def assigned(folder: Path, function: str) -> Assignment:
    trial = replace(TRIAL, trainable=f"their_module:{function}")
    return Assignment(trial=trial, workspace=Workspace(folder=folder, latents=folder))


@pytest.mark.usefixtures("named")
def test_a_probe_of_somebody_else_s_trainable_stops_after_a_few_steps(tmp_path: Path) -> None:
    facts = probed(assigned(tmp_path, "theirs"))
    assert len(facts["step_seconds"]) == facts["num_steps"] == 10
    assert (facts["peak_memory_bytes"], facts["problem"]) == (123, "")
    found = measured_from(facts, replace(TRIAL, trainable="their_module:theirs"), tmp_path)
    assert found is not None
    assert (found.source, found.num_steps, found.peak_memory_bytes) == ("probe", 8, 123)
    assert found.fastest <= found.step_seconds <= found.slowest


@pytest.mark.usefixtures("named")
def test_a_probe_that_fails_says_why(tmp_path: Path) -> None:
    assert probed(assigned(tmp_path, "breaks"))["problem"] == "failed: ValueError: no"


def test_resident_memory_counts_only_where_there_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "step_seconds": [9.0, 9.0, 1.0, 3.0],
        "seconds": 30.0,
        "num_steps": 4,
        "peak_memory_bytes": None,
        "resident_bytes": 77,
    }
    monkeypatch.setattr(machine, "num_gpus", lambda: 0)
    found = measured_from(facts, TRIAL, tmp_path)
    assert found is not None
    assert (found.step_seconds, found.other_seconds, found.peak_memory_bytes) == (2.0, 22.0, 77)
    monkeypatch.setattr(machine, "num_gpus", lambda: 1)
    found = measured_from(facts, TRIAL, tmp_path)
    assert found is not None
    assert found.peak_memory_bytes is None


def test_only_shapes_that_nothing_tells_of_are_probed_and_a_failure_is_said(tmp_path: Path) -> None:
    trials = [replace(TRIAL, seed=seed, trainable="no.such:thing") for seed in range(3)]
    plan = make_plan("e", [(each, {FIELD: 1}) for each in trials], {}, [])
    said: list[str] = []
    nothing = Measurements(steps={}, whole={})
    assert probe(plan, nothing, tmp_path, FakeDataset(), said.append) == 0
    assert said[0] == "probe 1 of 1: num_embeddings=1, seed 0"
    assert "no.such" in said[1]
    known = Measurements(steps={shape_of(trials[0]).steps: [PROBED]}, whole={})
    assert probe(plan, known, tmp_path, FakeDataset(), said.append) == 0
    done = make_plan(
        "e",
        [(trials[0], {FIELD: 1})],
        {trials[0].trial_id: Known(status="completed", is_final=True)},
        [],
    )
    assert probe(done, nothing, tmp_path, FakeDataset(), said.append) == 0
    assert len(said) == 2


@pytest.mark.parametrize(
    ("visible", "expected"), [(None, 2), ("", 0), ("-1", 0), ("1", 1), ("0,1,2", 2)]
)
def test_gpus_are_counted_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: int
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.num_gpus(tmp_path) == expected
    assert machine.num_gpus(tmp_path / "none") == 0
