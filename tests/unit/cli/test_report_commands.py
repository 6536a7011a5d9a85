"""What report and compare print, what they serve, and their exit codes."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import pytest
from qdexp_analysis.experiment_report import ExperimentReport
from recorded_trials import ask, qdexp, record, trial

from qdexp.errors import NotFoundError
from qdexp.results.recorder import Recorder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with one experiment of two conditions and three seeds."""
    losses = {
        trial(seed, model__num_embeddings=codes): 0.2
        + 0.01 * seed
        + more
        + 0.001 * seed * bool(more)
        for seed in range(3)
        for codes, more in ((8192, 0.0), (64, 0.1))
    }
    for one, loss in losses.items():
        record(tmp_path, one, loss=loss)
    with Recorder(tmp_path) as recorder:
        ask(recorder, *losses)
    return tmp_path


@pytest.mark.parametrize("form", ExperimentReport.formats)
def test_every_format_is_printed(runs: Path, form: str) -> None:
    result = qdexp("report", "sizes", "--format", form, "--runs", runs)
    assert result.exit_code == 0, result.output
    assert "0.2" in result.stdout


def test_json_is_of_the_schema_that_is_printed(runs: Path) -> None:
    schema = json.loads(qdexp("report", "--schema").stdout)
    content = json.loads(qdexp("report", "sizes", "--format", "json", "--runs", runs).stdout)
    jsonschema.Draft202012Validator(schema).validate(content)
    assert content["contrasts"][0]["verdict"] == "worse"


def test_report_without_a_name_says_what_is_missing() -> None:
    result = qdexp("report")
    assert result.exit_code == 2
    assert "expected the name of an experiment" in result.output


def test_two_conditions_are_compared(runs: Path) -> None:
    sides = ("sizes:num_embeddings=8192", "sizes:num_embeddings=64")
    words = qdexp("compare", *sides, "--runs", runs)
    assert words.exit_code == 0, words.output
    assert "model.num_embeddings" in words.stdout
    content = json.loads(qdexp("compare", *sides, "--runs", runs, "--json").stdout)
    (row,) = [row for row in content["rows"] if row["metric"] == "eval.denoising_loss"]
    assert row["difference"] == pytest.approx(0.101)
    assert row["num_pairs"] == 3


def test_what_is_not_there_is_not_compared(runs: Path) -> None:
    result = qdexp("compare", "sizes", "shapes", "--runs", runs)
    assert isinstance(result.exception, NotFoundError)
    assert "shapes" in str(result.exception)


def test_reports_are_served_until_ctrl_c(runs: Path) -> None:
    command = [sys.executable, "-m", "qdexp", "report", "--serve", "--port", "0", "--runs", runs]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address) as index:
                page = index.read().decode()
            assert "sizes" in page
            with urllib.request.urlopen(f"{address}reports/sizes/") as report:
                assert "denoising loss" in report.read().decode()
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}reports/../ledger.sqlite/")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0
