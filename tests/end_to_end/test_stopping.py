"""An experiment stops where going on is pointless or too long, and says how to go on."""

from pathlib import Path

import pytest

from qdexp.results.ledger import Ledger

BROKEN = """\
def train(trial, workspace):
    print("the column is called 'hue'")
    raise KeyError("no column 'colour'")
    yield
"""
ENDLESS = """\
import time
from qdexp.results.outcome import Progress
def train(trial, workspace):
    step = 0
    while True:
        time.sleep(0.01)
        yield Progress(step=step, num_steps=9)
        step += 1
"""


def written(folder: Path, spec: str, training: str, more: str = "") -> Path:
    (folder / "my_training.py").write_text(training)
    (folder / "sizes.yaml").write_text(f"{spec}trainable: my_training:train\n{more}")
    return folder / "sizes.yaml"


def statuses(runs: Path) -> list[str | None]:
    with Ledger(runs) as ledger:
        return [each.outcome and each.outcome.status for each in ledger.members("sizes")]


@pytest.mark.slow
def test_same_error_stops_an_experiment_and_show_has_the_log(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
) -> None:
    spec = written(tmp_path, tiny_spec, BROKEN)
    done = qdexp("run", spec, "--runs", "runs", "--executor", "inline", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "the first 3 trials all failed with the same error, exception: KeyError" in done.stderr
    assert "--keep-going" in done.stderr
    assert statuses(tmp_path / "runs") == ["failed"] * 3 + ["cancelled"]
    with Ledger(tmp_path / "runs") as ledger:
        first = ledger.members("sizes")[0].trial_id
    shown = qdexp("show", first, "--runs", tmp_path / "runs").stdout
    assert f"trials/{first}/log.txt" in shown
    assert "  the column is called 'hue'\n" in shown
    assert "cancelled" in (tmp_path / "runs" / "reports" / "sizes" / "report.md").read_text()
    arguments = ["--runs", "runs", "--executor", "inline", "--no-report", "--keep-going"]
    assert qdexp("run", spec, *arguments, cwd=tmp_path).returncode == 1
    assert statuses(tmp_path / "runs") == ["failed"] * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        ("experiment: 2 s", 130, "the experiment's budget of time is spent"),
        ("trial: 0.3 s", 1, "it took longer than its budget of 0.3 s"),
    ],
)
def test_budgets_end_what_never_ends(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
    case: tuple[str, int, str],
) -> None:
    budget, code, said = case
    spec = written(tmp_path, tiny_spec, ENDLESS, f"budget: {{{budget}}}\n")
    arguments = ["--runs", "runs", "--executor", "inline", "--no-report"]
    done = qdexp("run", spec, *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    ended = [None] * 4 if code == 130 else ["failed"] * 3 + ["cancelled"]
    assert statuses(tmp_path / "runs") == ended
