"""What goes wrong is recorded, shown, and stops nothing else; what is wrong is refused."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qdexp.results.ledger import Ledger

DIVERGES = ("training.learning_rate: {levels: [0.001, 1.0e+30], baseline: 0.001}",)


def diverging(tiny_spec: str) -> str:
    return tiny_spec.replace("model.num_embeddings: {levels: [32, 64], baseline: 32}", DIVERGES[0])


@pytest.mark.slow
@pytest.mark.ray
def test_diverged_trial_is_in_ledger_table_and_report_and_the_others_finish(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
) -> None:
    spec = tmp_path / "sizes.yaml"
    spec.write_text(diverging(tiny_spec))
    result = qdexp("run", spec, "--runs", tmp_path / "runs")
    assert result.returncode == 1, result.stderr
    with Ledger(tmp_path / "runs") as ledger:
        outcomes = [member.outcome for member in ledger.members("sizes")]
    statuses = [outcome.status for outcome in outcomes if outcome]
    assert sorted(statuses) == ["completed", "completed", "diverged", "diverged"]
    reasons = [o.failure.reason for o in outcomes if o and o.failure]
    assert all("lower training.learning_rate" in reason for reason in reasons)
    html = (tmp_path / "runs" / "reports" / "sizes" / "report.html").read_text()
    assert "diverged" in html
    assert "lower training.learning_rate" in html
    table = qdexp("report", "sizes", "--runs", tmp_path / "runs", "--format", "csv").stdout
    assert table.count("diverged") >= 2


@pytest.mark.slow
def test_trial_that_raises_is_recorded_and_the_others_finish(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "my_training.py").write_text(
        "from qdexp.training.run_trial import run_trial\n"
        "def train(trial, workspace):\n"
        "    if trial.seed == 1:\n"
        "        raise ValueError('the disk is on fire')\n"
        "    yield from run_trial(trial, workspace)\n"
    )
    spec = tmp_path / "sizes.yaml"
    spec.write_text(tiny_spec + "trainable: my_training:train\n")
    result = qdexp("run", spec, "--runs", "runs", "--executor", "inline", cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "2 failed" in result.stderr
    status = qdexp("status", "sizes", "--runs", tmp_path / "runs").stdout
    assert status.count("ValueError: the disk is on fire") == 2
    assert status.count("completed") == 3
    report = (tmp_path / "runs" / "reports" / "sizes" / "report.md").read_text()
    assert "the disk is on fire" in report


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_killed_driver_loses_no_outcome_repeats_none_and_mlflow_agrees(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
    executor: str,
) -> None:
    spec, runs = tmp_path / "sizes.yaml", tmp_path / "runs"
    spec.write_text(tiny_spec)
    command = [sys.executable, "-m", "qdexp", "run", str(spec), "--runs", str(runs)]
    process = subprocess.Popen(
        [*command, "--executor", executor], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " completed " in line:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    with Ledger(runs) as ledger:
        before = {m.trial_id: m.finished_at for m in ledger.members("sizes") if m.outcome}
    assert before
    result = qdexp("run", spec, "--runs", runs, "--executor", executor, "--no-report")
    assert result.returncode == 0, result.stderr
    with Ledger(runs) as ledger:
        after = {m.trial_id: m.finished_at for m in ledger.members("sizes") if m.outcome}
    assert len(after) == 4
    assert before.items() <= after.items()
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection:
        query = (
            "SELECT t.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
            " WHERE t.key = 'qdexp.trial_id' ORDER BY t.value"
        )
        assert connection.execute(query).fetchall() == [(i, "FINISHED") for i in sorted(after)]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signal_stops_resumably(qdexp, tiny_spec: str, tmp_path: Path, stop: int) -> None:  # noqa: ANN001
    executor = "ray" if stop == signal.SIGTERM else "inline"
    spec, runs = tmp_path / "sizes.yaml", tmp_path / "runs"
    spec.write_text(tiny_spec.replace("max_steps: 6", "max_steps: 100000"))
    command = [sys.executable, "-m", "qdexp", "run", str(spec), "--runs", str(runs)]
    process = subprocess.Popen(
        [*command, "--executor", executor], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if " started " in line:
            process.send_signal(stop)
            break
    _, rest = process.communicate()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "goes on" in rest
    plan = qdexp("plan", spec, "--runs", runs).stdout
    assert "4 trials" in plan


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{spec}"], "{spec}:10:3: expected a configuration field"),
        (["plan", "{spec}"], "did you mean 'model.hidden_dim'"),
        (["run", "nowhere.yaml"], "nowhere.yaml:1:1: expected a readable spec file"),
        (["run"], "Missing argument"),
        (["run", "{spec}", "--executor", "slurm"], "slurm"),
        (["report", "nothing", "--runs", "{runs}"], "expected an experiment in"),
        (["show", "abc", "--runs", "{runs}"], "found no trial for 'abc'"),
        (["status", "nothing", "--runs", "{runs}"], "expected an experiment in"),
        (["ui", "--runs", "{runs}"], "qdexp run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_request_exits_with_2_and_writes_nothing(
    qdexp,  # noqa: ANN001
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text(
        "name: wrong\nquestion: '?'\npreset: tiny\nfactors:\n"
        "  model.num_embeddings: {levels: [32, 64], baseline: 32}\nseeds: 1\n\n\n"
        "set:\n  model.hiden_dim: 3\n"
    )
    places = {"spec": spec, "runs": tmp_path / "runs"}
    result = qdexp(*[argument.format(**places) for argument in arguments], cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert message.format(**places) in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong.yaml"]
