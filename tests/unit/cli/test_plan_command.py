"""`qdexp plan` says what a run would do and take, to people and to programs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.errors import RequestError
from qdexp.execution import machine
from qdexp.execution.estimate import Measured
from qdexp.execution.measured import keep_probe
from qdexp.execution.shape import shape_of
from qdexp.experiment.reader import read_spec
from qdexp.experiment.trial import Trial

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set: {training.max_steps: 100}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
"""
PROBED = Measured(
    source="probe",
    step_seconds=2.0,
    fastest=1.0,
    slowest=4.0,
    num_steps=8,
    other_seconds=10.0,
    peak_memory_bytes=600 * 2**20,
    disk_bytes=3 * 2**20,
)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "num_cpus", lambda: 2)
    monkeypatch.setattr(machine, "num_gpus", lambda: 0)
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def planned(spec: Path, *words: str) -> str:
    runs = spec.parent / "runs"
    result = CliRunner().invoke(app, ["plan", str(spec), "--runs", str(runs), *words])
    assert result.exit_code == 0, result.exception
    return result.stdout


def probe(spec: Path, *conditions: int) -> None:
    grid = read_spec(spec).grid.conditions
    for index in conditions:
        trial = Trial(configuration=grid[index][1], seed=0, data_fingerprint="d")
        keep_probe(spec.parent / "runs", shape_of(trial), PROBED)


def test_plan_without_measurements_says_how_to_get_them_and_touches_nothing(spec: Path) -> None:
    text = planned(spec)
    assert "4 trials: 4 new" in text
    assert "no estimate: no trial of their shape has completed; --probe runs" in text
    assert not (spec.parent / "runs").exists()


def test_plan_says_what_a_run_takes_and_where_that_is_from(spec: Path) -> None:
    probe(spec, 0, 1)
    lines = planned(spec).splitlines()
    assert (
        "time: about 7 min 00 s (3 min 40 s to 13 min 40 s) with 2 side by side, about 14 min 00 s "
        "(7 min 20 s to 27 min 20 s) of workers"
    ) in lines
    assert "peak memory of a trial: 600 MiB; disk: 12 MiB more" in lines
    assert any("from 2 probes of 16 steps in all, alone on this machine" in line for line in lines)
    assert not any("GPU" in line for line in lines)


def test_budget_of_a_search_is_refused_for_an_ablation(spec: Path) -> None:
    error = CliRunner().invoke(app, ["plan", str(spec), "--trials", "9"]).exception
    assert isinstance(error, RequestError)
    assert "--trials: expected the spec of a search" in str(error)


def test_what_is_not_known_is_counted(spec: Path) -> None:
    probe(spec, 0)
    assert "no estimate for 2 of 4 trials: " in planned(spec)


def test_gpus_that_are_held_are_hours(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "num_gpus", lambda: 1)
    probe(spec, 0, 1)
    text = planned(spec)
    assert "GPU-hours: 0.23 (0.12 to 0.46)" in text
    assert "with 1 side by side" in text


def test_order_is_told_where_trials_wait(spec: Path) -> None:
    spec.write_text(SPEC.replace("model.num_embeddings", "diffusion.sampling_steps"))
    assert "order: 2 stages, one after the other, of 2 and 2 trials" in planned(spec)


def test_json_has_a_stable_form(spec: Path) -> None:
    probe(spec, 0)
    content = json.loads(planned(spec, "--json"))
    assert list(content) == [
        *("counts", "design", "estimate", "experiment", "looks", "orphans"),
        *("seconds_per_trial", "trials"),
    ]
    assert content["estimate"] == {
        "num_estimated": 2,
        "num_unknown": 2,
        "side_by_side": 2,
        "wall_seconds": {"low": 110.0, "expected": 210.0, "high": 410.0},
        "worker_seconds": {"low": 220.0, "expected": 420.0, "high": 820.0},
        "gpu_hours": {"low": 0.0, "expected": 0.0, "high": 0.0},
        "peak_memory_bytes": 600 * 2**20,
        "disk_bytes": 6 * 2**20,
        "sources": content["estimate"]["sources"],
    }
    assert content["seconds_per_trial"] == 210.0
    first, second, *_ = content["trials"]
    assert first == {
        "trial_id": first["trial_id"],
        "state": "new",
        "reason": "never run",
        "changes": [],
        "role": "condition",
        "waits_for": None,
        "stage": 1,
        "shared_with": [],
        "condition": {"model.num_embeddings": 64},
        "seed": 0,
        "from_step": None,
        "num_steps": 100,
        "seconds": {"low": 110.0, "expected": 210.0, "high": 410.0},
    }
    assert second["seconds"] is None
