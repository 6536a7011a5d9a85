"""One question asked and answered by the real command, through real Ray into real MLflow."""

import json
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.ray]


class Finished:
    """An experiment that ran through Ray, once for all tests here."""

    def __init__(self, folder: Path, qdexp, spec_text: str) -> None:  # noqa: ANN001
        self.runs = folder / "runs"
        self.spec = folder / "sizes.yaml"
        self.spec.write_text(spec_text)
        self.result = qdexp("run", self.spec, "--runs", self.runs)

    def outcomes(self, runs: Path | None = None) -> dict[str, Outcome]:
        with Ledger(runs or self.runs) as ledger:
            return {
                record.trial_id: record.outcome
                for record in ledger.members("sizes")
                if record.outcome
            }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, qdexp, tiny_spec: str) -> Finished:  # noqa: ANN001
    return Finished(tmp_path_factory.mktemp("finished"), qdexp, tiny_spec)


def test_run_completes_and_prints_its_verdict_and_report(finished: Finished) -> None:
    assert finished.result.returncode == 0, finished.result.stderr
    lines = finished.result.stdout.splitlines()
    assert "num_embeddings" in finished.result.stdout
    report = Path(lines[-1].removeprefix("report: "))
    assert report.read_text().lower().startswith("<!doctype html>")
    assert "4 completed" in finished.result.stderr
    assert len(finished.outcomes()) == 4
    assert report.read_text().count('src="data:image/gif;base64,') == 3  # real clips come once


def test_again_runs_nothing(finished: Finished, qdexp) -> None:  # noqa: ANN001
    before = finished.outcomes()
    result = qdexp("run", finished.spec, "--runs", finished.runs)
    assert result.returncode == 0
    assert "4 trials: 4 cached" in result.stderr
    assert "started" not in result.stderr
    assert finished.outcomes() == before


def test_inline_gives_the_same_numbers_bit_for_bit(
    finished: Finished,
    qdexp,  # noqa: ANN001
    tmp_path: Path,
) -> None:
    result = qdexp("run", finished.spec, "--runs", tmp_path, "--executor", "inline", "--no-report")
    assert result.returncode == 0, result.stderr
    through_ray, inline = finished.outcomes(), finished.outcomes(tmp_path)
    assert through_ray.keys() == inline.keys()
    with Ledger(finished.runs) as ray_ledger, Ledger(tmp_path) as inline_ledger:
        for trial_id, outcome in through_ray.items():
            assert _results(outcome.measurements) == _results(inline[trial_id].measurements)
            there, here = ray_ledger.history(trial_id), inline_ledger.history(trial_id)
            assert _results(there) == _results(here)
            assert "train.loss" in here
            assert ray_ledger.arrays(trial_id) == inline_ledger.arrays(trial_id)


def test_new_level_runs_its_own_trials_only(finished: Finished, qdexp, tmp_path: Path) -> None:  # noqa: ANN001
    wider = tmp_path / "sizes.yaml"
    wider.write_text(finished.spec.read_text().replace("[32, 64]", "[32, 64, 128]"))
    result = qdexp("plan", wider, "--runs", finished.runs, "--json")
    assert json.loads(result.stdout)["counts"] == {"cached": 4, "new": 2}


def test_mlflow_has_one_run_per_trial_with_its_codes(finished: Finished) -> None:
    with closing(sqlite3.connect(finished.runs / "mlflow.db")) as connection:
        tags = connection.execute("SELECT value FROM tags WHERE key = 'qdexp.trial_id'").fetchall()
        statuses = connection.execute("SELECT DISTINCT status FROM runs").fetchall()
    assert sorted(value for (value,) in tags) == sorted(finished.outcomes())
    assert statuses == [("FINISHED",)]
    for picture in ("code_histogram.png", "samples.gif", "real.gif"):
        assert len(list((finished.runs / "mlartifacts").rglob(picture))) == 4


def test_ui_serves_the_runs_over_http(finished: Finished) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "qdexp", "ui", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--runs", str(finished.runs)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        page = _until_answered(f"http://127.0.0.1:{port}/", process)
        assert b"MLflow" in page
        search = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search",
            data=json.dumps({"max_results": 10}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(search) as answer:
            names = {each["name"] for each in json.load(answer)["experiments"]}
        assert "sizes" in names
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode in (0, 130), errors


def test_status_show_and_report_tell_of_it(finished: Finished, qdexp, tmp_path: Path) -> None:  # noqa: ANN001
    status = qdexp("status", "sizes", "--runs", finished.runs)
    assert "sizes: 4 trials: 4 completed" in status.stdout
    as_json = json.loads(qdexp("status", "--json", "--runs", finished.runs).stdout)
    assert as_json["experiments"][0]["counts"] == {"completed": 4}
    trial_id = next(iter(finished.outcomes()))
    shown = qdexp("show", trial_id[:8], "--runs", finished.runs)
    assert trial_id in shown.stdout
    for fact in ("eval.denoising_loss", "model.num_embeddings", "commit", "final_checkpoint.pt"):
        assert fact in shown.stdout
    table = qdexp("report", "sizes", "--runs", finished.runs, "--format", "csv")
    assert table.stdout.count("completed") >= 4
    out = tmp_path / "report.md"
    assert qdexp("report", "sizes", "--runs", finished.runs, "--format", "md", "--out", out)
    assert "Does size matter?" in out.read_text()


def _results(by_metric: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in by_metric.items() if not name.startswith("cost.")}


def _until_answered(address: str, process: subprocess.Popen[bytes]) -> bytes:
    """Asks until the server answers; it ends early only by failing."""
    import time

    while process.poll() is None:
        try:
            with urllib.request.urlopen(address) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(process.stderr.read() if process.stderr else "the server ended")
