"""The documented example of a user's own training, from its YAML to its report."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qdexp.results.ledger import Ledger

EXAMPLE = Path("examples/forest.py")
DOCUMENT = Path("docs/own_training.md")


def copied(folder: Path) -> Path:
    """Returns the example's spec, in a folder where its module lies beside it."""
    folder.mkdir()
    for name in ("forest.py", "forest.yaml"):
        shutil.copy(EXAMPLE.with_name(name), folder / name)
    return folder / "forest.yaml"


def test_example_is_short_needs_no_torch_and_is_what_the_document_shows() -> None:
    text = EXAMPLE.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 30
    assert "torch" not in text.replace("No torch", "")
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert text.partition('"""\n\n')[2].strip() in [block.strip() for block in blocks]
    assert EXAMPLE.with_suffix(".yaml").read_text() in blocks


@pytest.mark.slow
@pytest.mark.ray
def test_example_gets_ledger_mlflow_and_report_alike_by_both_executors(
    qdexp,  # noqa: ANN001
    tmp_path: Path,
) -> None:
    spec = copied(tmp_path / "theirs")
    measured: list[dict[str, dict[str, float]]] = []
    for executor in ("inline", "ray"):
        runs = tmp_path / executor
        result = qdexp("run", spec, "--runs", runs, "--executor", executor, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        with Ledger(runs) as ledger:
            members = ledger.members("forest")
            assert {each.revision for each in members} == {1}
            measured.append({m.trial_id: m.outcome.measurements for m in members if m.outcome})
            histories = [ledger.history(member.trial_id)["error"] for member in members]
        assert {len(history.steps) for history in histories} == {1, 4}
        with closing(sqlite3.connect(runs / "mlflow.db")) as connection:
            query = (
                "SELECT r.status, count(*) FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
                " WHERE t.key = 'qdexp.trial_id' GROUP BY r.status"
            )
            assert connection.execute(query).fetchall() == [("FINISHED", 12)]
        again = qdexp("run", spec, "--runs", runs, "--executor", executor, "--no-report")
        assert again.returncode == 0
        assert "12 trials: 12 cached" in again.stderr
    assert measured[0] == measured[1]
    assert len(measured[0]) == 12

    # Another machine has the ledger and not the module.
    shutil.rmtree(spec.parent)
    away = tmp_path / "away"
    away.mkdir()
    trial_id = next(iter(measured[0]))
    for words in (["status", "forest"], ["show", trial_id], ["report", "forest"]):
        result = qdexp(*words, "--runs", tmp_path / "ray", cwd=away)
        assert result.returncode == 0, result.stderr
    html = (tmp_path / "ray" / "reports" / "forest" / "report.html").read_text()
    assert "Do more trees, or deeper ones, make fewer errors" in html
    assert "trees 40, depth 8 against trees 10, depth 8: error" in html
    assert "Error while training" in html
    assert "Lower is better." in html
    assert "clips" not in re.sub(r"<(style|script).*?</\1>", "", html, flags=re.DOTALL)
